#!/bin/sh
# Everything that only a GPU can show, on a Linux machine (x86-64) with an NVIDIA driver: what is there, whether the engine
# computes there what ONNX Runtime computes on the CPU, whether its kernels stay inside their memory, and how fast it is.
#
#   ./run.sh [RESULTS] [STAGE...]     stages: doctor verify sanitize bench kernels torch traffic report; all where none is named
#
# Results go to ./results, or to the folder named first: one JSON file for each stage, and report.json and report.md of all.
# BENCH_ARGS is given to the benchmark (`--seconds 0.1`; `--small` only shows that all runs), TRAFFIC_TIME is for the traffic (`5s`). The exit code is that of the worst stage: 0 only when everything ran and nothing differed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
results=${1:-$here/results}
[ $# -gt 0 ] && shift
stages=${*:-doctor verify sanitize bench kernels torch traffic report}
mkdir -p "$results"
results=$(cd "$results" && pwd)
cd "$here" || exit 1
# What is packed is unpacked once.
if [ ! -x parts/forebay ]; then
	mkdir -p parts && tar xzf parts.tar.gz -C parts || exit 1
fi
PATH=$here/parts:$PATH
export FOREBAY_ONNXRUNTIME="$here/parts/libonnxruntime.so" FOREBAY_NATS_SERVER="$here/parts/nats-server" ORT_DISABLE_TELEMETRY=1
python=$(command -v python3 || true)
worst=0

said() { printf '\n== %s\n' "$*"; }
# Runs a stage's command; a stage that fails is told, and the others still run.
stage() {
	"$@"
	code=$?
	[ $code -eq 0 ] || printf 'run.sh: %s: exit %s\n' "$1" "$code" >&2
	[ $code -le $worst ] || worst=$code
}

doctor() {
	forebay doctor --json >"$results/doctor.json"
	forebay doctor
}

# 1: something differs. 69: some cases have operators that are not covered, which is no fault here.
verify() {
	# Whole models with kernels that NVRTC compiles for them, where it is; then everything with general kernels: to compile some
	# for each of a thousand operators would take long.
	forebay verify parts/cases/shape_* parts/cases/exported_* --device cuda --json >"$results/verify-fused.json"
	code=$?
	[ $code -eq 0 ] || [ $code -eq 69 ] || echo "with kernels of their own, models differ: see verify-fused.json"
	export FOREBAY_LIBNVRTC=/nowhere/libnvrtc.so.13
	forebay verify parts/cases --device cuda --json >"$results/verify.json"
	general=$?
	unset FOREBAY_LIBNVRTC
	[ $general -eq 0 ] || [ $general -eq 69 ] || code=$general
	[ $code -eq 69 ] && return 0
	return $code
}

# Accesses out of bounds, races between threads of a block, and barriers that not all threads reach, in forebay's own kernels and those
# that NVRTC compiles: those of cuBLASLt and cuDNN are not ours to mend. Slow, so small models. SANITIZE names other checks.
sanitize() {
	tool=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer" 2>/dev/null || true)
	if [ -z "$tool" ]; then
		echo "compute-sanitizer is not here: not run" | tee "$results/sanitize.txt"
		return 0
	fi
	: >"$results/sanitize.txt"
	bad=0
	for check in ${SANITIZE:-memcheck racecheck synccheck}; do
		FOREBAY_LIBCUBLASLT=/nowhere/libcublasLt.so.13 FOREBAY_LIBCUDNN=/nowhere/libcudnn.so.9 \
			"$tool" --tool "$check" --error-exitcode 9 --target-processes all \
			parts/forebay verify parts/cases/shape_* --device cuda >"$results/sanitize-$check.txt" 2>&1
		code=$?
		# Without a summary the tool saw nothing, whatever it ends with; and it has its own idea of which hazards are errors.
		summary=$(sed -n 's/^=* *\(.*SUMMARY: .*\)/\1/p' "$results/sanitize-$check.txt" | sort -u | tr '\n' ' ')
		[ -n "$summary" ] || [ $code -ne 0 ] || code=1
		! printf '%s' "$summary" | grep -q 'SUMMARY: [1-9]' || [ $code -ne 0 ] || code=9
		echo "-- $check: exit $code, ${summary:-it saw nothing}" >>"$results/sanitize.txt"
		[ $code -eq 0 ] || {
			grep '^=[= ]*[^= ]' "$results/sanitize-$check.txt" | grep -v 'SUMMARY\|COMPUTE-SANITIZER' | head -20
			grep -v '^=' "$results/sanitize-$check.txt" | tail -3
		} >>"$results/sanitize.txt"
		[ $code -le $bad ] || bad=$code
	done
	cat "$results/sanitize.txt"
	return $bad
}

bench() {
	gpu --device cuda ${BENCH_ARGS:-} --json "$results/engine.json" || return $?
	# The same without kernels that NVRTC compiles for the model. Where there is no NVRTC, both are the same.
	FOREBAY_LIBNVRTC=/nowhere/libnvrtc.so.13 gpu --device cuda ${BENCH_ARGS:-} --json "$results/engine-general.json" || return $?
	gpu --device cpu ${BENCH_ARGS:-} --only encoder,mlp --json "$results/engine-cpu.json"
}

# What multiplies, in every precision: forebay's own kernels alone, and with cuBLASLt and cuDNN where these are there. Which of them did each
# product and convolution then stands in measured/ (`own`, or the library's words).
kernels() {
	code=0
	for precision in fp32 tf32 fp16 bf16; do
		FOREBAY_LIBCUBLASLT=/nowhere/libcublasLt.so.13 FOREBAY_LIBCUDNN=/nowhere/libcudnn.so.9 gpu --device cuda --only dense,encoder,resnet18,mobilenet --precision $precision \
			${BENCH_ARGS:-} --json "$results/kernels-$precision-own.json" || code=$?
		XDG_CACHE_HOME="$results/measured" gpu --device cuda --only dense,encoder,resnet18,mobilenet --precision $precision \
			${BENCH_ARGS:-} --json "$results/kernels-$precision-library.json" || code=$?
	done
	return $code
}

torch() {
	if [ -z "$python" ] || ! $python -c 'import torch' 2>/dev/null; then
		echo "there is no PyTorch here: not compared"
		return 0
	fi
	$python torch_variants.py "$results/torch.json"
}

# From NATS to NATS: the encoder on the GPU, and on all cores of the CPU.
traffic() {
	place=$(mktemp -d)
	nats-server -a 127.0.0.1 -p -1 --ports_file_dir "$place" >/dev/null 2>&1 &
	server=$!
	code=1
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.5
		url=$(sed -n 's/.*"\(nats:[^"]*\)".*/\1/p' "$place"/*.ports 2>/dev/null | head -1)
		[ -n "$url" ] && code=0 && break
	done
	for device in cuda cpu; do
		[ $code -eq 0 ] || break
		gpu --write "$place/$device" ${BENCH_ARGS:-} --only encoder --device $device || code=$?
		forebay bench "$place/$device/encoder/pipeline.yaml" --rows "$place/$device/encoder/rows.jsonl" --nats="$url" --time "${TRAFFIC_TIME:-30s}" \
			--json >"$results/traffic-$device.json" || code=$?
	done
	kill $server
	wait $server 2>/dev/null
	rm -rf "$place"
	return $code
}

report() {
	gpu --report "$results"
}

printf '%s, run.sh %s\n' "$(date -u '+%Y-%m-%d %H:%M UTC')" "$stages" >"$results/when.txt"
for name in $stages; do
	said "$name"
	stage "$name"
done
exit $worst
