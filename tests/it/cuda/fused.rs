//! Kernels that are compiled for a model, by the NVRTC that stands for the real one: they give what the general ones give.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "sizes are small, and any numbers do"
)]

use std::sync::Arc;

use forebay::{
    engine::cuda::{
        device::Nvrtc,
        fused::{Codes, cubin},
        gpu::Gpu,
        lower::{Products, lower},
        model::Model as OnDevice,
        plan::Plan,
        product::Math,
        sizes::Size as Batch,
    },
    graph::{
        proto::{Kind, Model, Size, TensorType},
        tensor::Element,
    },
};

use super::{
    conformance::with,
    growing::{Growing, NODES, ROWS, layers},
    well_known::shapes::{self, Random},
};
use crate::support::fake_cuda;

/// Graphs that look random: all chains of one are compiled together.
const GRAPHS: u64 = 6;

/// What a plan gives for numbers that look random, with the type of each output.
fn results(gpu: &Arc<Gpu>, plan: &Plan) -> Vec<(Element, Vec<u8>)> {
    let elements: Vec<Element> = plan.inputs.iter().map(|slot| slot.element).collect();
    let mut model = OnDevice::load(gpu, &[(Batch::whole(1), plan)]).unwrap();
    let mut random = Random::new(5);
    let mut given = Vec::new();
    model
        .run(
            Batch::whole(1),
            |place, _, to, _| {
                let width = elements[place].bits() / 8;
                for cell in to.chunks_mut(width) {
                    let number = random.number() * 3.0;
                    match elements[place] {
                        Element::Float32 => cell.copy_from_slice(&(number as f32).to_le_bytes()),
                        Element::Float64 => cell.copy_from_slice(&number.to_le_bytes()),
                        // Halves from 1 to 2, of both signs.
                        Element::Float16 => {
                            let bits = 0x3C00 | (random.below(2) << 15) | random.below(1024);
                            cell.copy_from_slice(&u16::try_from(bits).unwrap().to_le_bytes());
                        }
                        Element::Bool => cell[0] = u8::from(number > 0.0),
                        _ => {
                            cell.fill(0);
                            cell[0] = u8::try_from(random.below(9)).unwrap();
                        }
                    }
                }
                Ok(())
            },
            |_, slot, bytes, _| {
                given.push((slot.element, bytes.to_vec()));
                Ok(())
            },
        )
        .unwrap();
    given
}

/// The bytes with one NaN for all: which of two it is that a sum of both gives is the processor's choice.
fn with_one_nan((element, bytes): &(Element, Vec<u8>)) -> Vec<u64> {
    let width = element.bits() / 8;
    let cells = bytes.chunks(width).map(|cell| {
        let mut all = [0; 8];
        all[..width].copy_from_slice(cell);
        u64::from_le_bytes(all)
    });
    cells
        .map(|bits| {
            let nan = match element {
                Element::Float32 => f32::from_bits(bits as u32).is_nan(),
                Element::Float64 => f64::from_bits(bits).is_nan(),
                Element::Float16 => bits & 0x7FFF > 0x7C00,
                _ => false,
            };
            if nan { u64::MAX } else { bits }
        })
        .collect()
}

#[test]
fn chains_give_the_bits_that_general_kernels_give() {
    let environment = [fake_cuda::with_compiler()];
    let (said, kernels) = with("cuda::fused::case_chains", &[0, 3], &environment);
    assert!(kernels["fused_chain"].as_u64() > Some(GRAPHS), "{kernels}");
    assert!(said.contains("nodes"), "{said}");
}

#[test]
fn layers_give_the_bits_that_general_kernels_give() {
    let environment = [fake_cuda::with_compiler()];
    let (said, kernels) = with("cuda::fused::case_layers", &[0, 5], &environment);
    assert_eq!(said, "8 runs of layers");
    assert_eq!(kernels["fused_mlp"].as_u64(), Some(8), "{kernels}");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_layers() {
    let gpu = Gpu::open(0).unwrap();
    // Less than a tile, tiles that are not full, and more tiles than blocks.
    let runs = [1, 3, 32, 37, 100, 257, 1000, 20_000];
    for (seed, rows) in (0..).zip(runs) {
        let model = layers(seed, rows);
        let plan = |fused| {
            let products = Products {
                fused,
                ..Products::OWN
            };
            lower(&model, products).unwrap_or_else(|why| panic!("{why}: {model:?}"))
        };
        let (general, fused) = (plan(false), plan(true));
        assert_eq!(fused.steps.len(), 1, "{fused}");
        let (wanted, found) = (results(&gpu, &general), results(&gpu, &fused));
        assert!(wanted == found, "seed {seed}, {rows} rows: {fused}");
    }
    println!("\n- {} runs of layers", runs.len());
}

#[test]
fn exported_models_give_what_they_give_on_the_cpu() {
    const MODELS: &str = "cuda::conformance::case_models";
    let programs = |kernels: &serde_json::Value| -> u64 {
        let names = ["pointwise_f32", "pointwise_f64", "pointwise_i64"];
        names
            .iter()
            .filter_map(|name| kernels[*name].as_u64())
            .sum()
    };
    let (general, before) = with(MODELS, &[0], &[]);
    let (said, kernels) = with(MODELS, &[1], &[fake_cuda::with_compiler()]);
    assert_eq!(said, general);
    assert!(kernels["fused_mlp"].as_u64() >= Some(3), "{kernels}");
    assert_eq!(programs(&kernels), 0, "{kernels}");
    let chains = kernels["fused_chain"].as_u64().unwrap_or(0);
    assert!(
        (40..programs(&before)).contains(&chains),
        "{before} {kernels}"
    );
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_chains() {
    println!();
    let gpu = Gpu::open(0).unwrap();
    for seed in 0..GRAPHS {
        let model = Growing::new(seed).model();
        let plan = |fused| {
            let products = Products {
                math: Math::Single,
                library: false,
                cudnn: None,
                fused,
            };
            lower(&model, products).unwrap_or_else(|why| panic!("{why}: {model:?}"))
        };
        let (general, fused) = (plan(false), plan(true));
        assert!(
            fused.steps.len() * 2 < general.steps.len(),
            "{general}\n{fused}"
        );
        let (wanted, found) = (results(&gpu, &general), results(&gpu, &fused));
        assert_eq!(wanted.len(), found.len());
        for (at, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
            assert_eq!(
                with_one_nan(found),
                with_one_nan(wanted),
                "seed {seed}, output {at} ({})",
                fused.outputs[at].name
            );
        }
        println!(
            "- {NODES} nodes: {} steps, {} fused",
            general.steps.len(),
            fused.steps.len()
        );
    }
}

/// `make kernels-fused` runs it, with the NVRTC that it fetches. No GPU is needed to compile.
#[test]
#[ignore = "needs NVIDIA's NVRTC: make kernels-fused"]
#[allow(clippy::print_stdout, reason = "what it costs is good to know")]
fn the_real_compiler_takes_what_is_written() {
    let nvrtc = Nvrtc::loaded().unwrap_or_else(|why| panic!("{why}"));
    let mut models: Vec<Model> = (0..GRAPHS).map(|seed| Growing::new(seed).model()).collect();
    models.extend((0..3).map(|seed| layers(seed, ROWS)));
    for widths in [&[13, 24, 17, 3][..], &[64, 128, 64, 1], &[7, 5, 2]] {
        models.push(fixed(shapes::mlp(widths)));
    }
    for (at, model) in models.iter().enumerate() {
        let products = Products {
            math: Math::Single,
            library: false,
            cudnn: None,
            fused: true,
        };
        let plan = lower(model, products).unwrap_or_else(|why| panic!("{why}"));
        let codes: Codes<'_> = plan.codes().map(|code| (code.name(), &**code)).collect();
        assert!(!codes.is_empty(), "{plan}");
        for architecture in ["sm_80", "sm_86", "sm_89", "sm_90"] {
            let began = std::time::Instant::now();
            let made = cubin(nvrtc, architecture, &codes);
            let code = made.unwrap_or_else(|why| panic!("{architecture}: {why}\n{codes:?}"));
            assert!(code.starts_with(b"\x7fELF"));
            println!(
                "{at} {architecture}: {} kernels, {} bytes in {} ms by NVRTC {}",
                codes.len(),
                code.len(),
                began.elapsed().as_millis(),
                nvrtc.version()
            );
        }
    }
}

/// With [`ROWS`] rows.
fn fixed(mut model: Model) -> Model {
    let ports = model.graph.iter_mut().flat_map(|graph| &mut graph.input);
    for port in ports {
        let kind = port.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(Kind::Tensor(TensorType {
            shape: Some(shape), ..
        })) = kind
        {
            shape.dim[0].value = Some(Size::Value(ROWS as i64));
        }
    }
    model
}
