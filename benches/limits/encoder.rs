//! A text encoder of `MiniLM`'s sizes: nearly all of the time is the model's, so nearly all of ONNX Runtime's rows should come
//! out.

use forebay::graph;

use crate::{
    Finding, Plan,
    load::{Kind, Sending, TOKENS},
    runtime::{Alone, Input, cores},
    shapes::{self, Encoder, MINILM},
    support::{Server, spread},
    targets::Target,
};

const WANTED: f64 = 0.97;

pub(crate) fn run(server: &Server, plan: Plan) -> Vec<Finding> {
    let file = server.dir.join("encoder.onnx");
    let model = shapes::encoder(Encoder {
        tokens: TOKENS,
        ..MINILM
    });
    graph::write(&model, &file).unwrap();
    drop(model);
    let input = Input::Tokens {
        tokens: TOKENS,
        words: MINILM.words,
    };
    let mut alone = Alone::best(&file, input, &[1, 2, 4, 8, 16], plan.time / 2);
    let pipeline = format!(
        "name: encoder\nsource:\n  nats: {{ url: \"{}\", subject: encoder.in }}\nfields:\n  input_ids: {{ dtype: i64, shape: [{TOKENS}] }}\n  attention_mask: {{ dtype: i64, shape: [{TOKENS}] }}\nbatch: {{ max_rows: {} }}\nmodels:\n  encoder: {{ path: \"{}\", workers: {} }}\nencode:\n  json: {{ pass: [id] }}\nsink:\n  nats: {{ subject: encoder.out }}\n",
        server.url(),
        alone.batch,
        file.display(),
        cores(),
    );
    let target = Target::forebay(server, &[pipeline], ["encoder.in", "encoder.out"]);
    let sending = Sending::to(server, &target, Kind::Tokens);
    let in_flight = 4 * cores() * alone.batch;
    let time = plan.time * 3;
    let (mut own, mut models) = (vec![], vec![]);
    for round in 0..plan.rounds {
        // Turns change places, so that a slow minute of the machine does not always hit the same one.
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                models.push(alone.rows_per_second(time));
            } else {
                own.push(sending.flood(in_flight, time).per_second_amid);
            }
        }
    }
    let ratios = own.iter().zip(&models).map(|(own, model)| own / model);
    let ratios: Vec<f64> = ratios.collect();
    println!("An encoder of MiniLM's sizes, {TOKENS} tokens as JSON in each message:\n");
    println!("| forebay, rows/s | ONNX Runtime alone, rows/s | forebay of that |\n|--:|--:|--:|");
    println!(
        "| {} | {} | {} |\n",
        spread(own, 1),
        spread(models, 1),
        spread(ratios.clone(), 3),
    );
    println!(
        "*Alone* is {}, {} rows a batch.\n",
        alone.how(),
        alone.batch
    );
    vec![Finding::at_least(
        "text encoder: of ONNX Runtime alone",
        ratios,
        WANTED,
        "≥ 0.97",
    )]
}
