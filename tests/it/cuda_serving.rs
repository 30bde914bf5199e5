//! A pipeline on a GPU, by the driver that stands for one, while it serves: what it says of where its models run.

use crate::support::{
    connect, eventually, fake_cuda, program::Program, program::forebay, server::NatsServer,
};

/// mlp30 over core NATS, one row a batch; beside `device` there may be more keys.
struct Serving {
    server: NatsServer,
    program: Program,
    _place: tempfile::TempDir,
}

impl Serving {
    fn start(device: &str, environment: &[(&str, &str)]) -> Self {
        let server = NatsServer::start(&[]);
        let place = tempfile::tempdir().expect("a folder");
        let model = crate::engine::folder("tests/data/models/mlp30/model.onnx");
        let text = format!(
            "name: mlp\nsource: {{ nats: {{ url: \"{url}\", subject: rows }} }}\n\
             models: {{ m: {{ path: {model}, precision: fp32, device: {device} }} }}\nbatch: {{ max_rows: 1 }}\n\
             sink: {{ nats: {{ url: \"{url}\", subject: results }} }}\nhttp: {{ listen: \"127.0.0.1:0\" }}\n",
            url = server.url(),
            model = model.display(),
        );
        let file = place.path().join("pipeline.yaml");
        std::fs::write(&file, text).expect("written");
        let mut command = forebay(&["run", file.to_str().expect("UTF-8")]);
        command
            .env("FOREBAY_LIBCUDA", fake_cuda::library())
            .envs([fake_cuda::NO_COMPILER])
            .envs(environment.iter().copied());
        Self {
            program: Program::start(&mut command),
            server,
            _place: place,
        }
    }

    /// Sends so many rows, and waits for as many results.
    async fn score(&self, count: u64) {
        let client = connect(&self.server.url()).await.client().clone();
        let rows = crate::engine::folder("tests/data/models/mlp30/rows.jsonl");
        let rows = std::fs::read_to_string(rows).expect("read");
        for row in rows.lines().cycle().take(count.try_into().expect("few")) {
            let row = row.to_owned().into();
            client.publish("rows", row).await.expect("published");
        }
        eventually("all results", async || {
            self.program.metric("forebay_results_total", &[]) == count
        })
        .await;
    }

    fn runs_on(&self, device: &str) -> u64 {
        let device = format!("device=\"{device}\"");
        self.program.metric("forebay_step_info", &[&device])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_left_its_device_is_told_to_run_on_the_cpu() {
    let mut serving = Serving::start("auto, workers: 1", &[("FAKE_FAIL", "cuGraphLaunch:6:700")]);
    serving.program.ready().await;
    assert_eq!((serving.runs_on("cuda:0"), serving.runs_on("cpu")), (1, 0));
    serving.score(10).await;
    assert_eq!((serving.runs_on("cuda:0"), serving.runs_on("cpu")), (0, 1));
    assert_eq!(serving.program.status("/readyz"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_not_ready_while_the_gpu_it_demands_does_not_compute() {
    // The first stream is the model's. What looks after the device makes the second, and tries again.
    let mut serving = Serving::start(
        "cuda, workers: 1",
        &[("FAKE_FAIL", "cuStreamCreateWithPriority:2:2")],
    );
    let unready = |program: &Program| {
        let (status, body) = program.get("/readyz");
        status == 503 && body.contains("mlp: cuda:0 does not compute: ")
    };
    serving.program.wait_for("not ready", unready).await;
    serving.program.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_take_the_gpus_of_a_list_in_turns() {
    let mut serving = Serving::start("[cuda:0, cuda:1]", &[("FAKE_DEVICES", "2")]);
    serving.program.ready().await;
    let runs_on = ["cuda:0", "cuda:1", "cpu"].map(|device| serving.runs_on(device));
    assert_eq!(runs_on, [1, 1, 0]);
    serving.score(200).await;
}
