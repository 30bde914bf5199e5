//! Rows that run on a GPU and on the CPU while a pipeline serves, by the driver that stands for the real one.

use crate::{
    cuda_place::Place,
    support::{
        connect, eventually, fake_cuda, program::Program, program::forebay, server::NatsServer,
    },
};

/// How many rows are scored.
const ROWS: u64 = 64;

struct Serving {
    program: Program,
    server: NatsServer,
    place: Place,
}

impl Serving {
    async fn start(options: &str, environment: &[(&str, &str)]) -> Self {
        let server = NatsServer::start(&[]);
        let place = Place::new("mlp30", options);
        let text = std::fs::read_to_string(place.at("pipeline.yaml")).expect("read");
        let url = server.url();
        let text =
            text.replace(
                "file: { path: rows.jsonl }",
                &format!("nats: {{ url: \"{url}\", subject: rows }}"),
            )
            .replace(
                "file: { path: out.jsonl }",
                &format!("nats: {{ url: \"{url}\", subject: results }}"),
            ) + "http: { listen: \"127.0.0.1:0\" }\n";
        std::fs::write(place.at("pipeline.yaml"), text).expect("written");
        let mut command = forebay(&["run", place.at("pipeline.yaml").to_str().expect("UTF-8")]);
        command
            .env("FOREBAY_LIBCUDA", fake_cuda::library())
            .envs([fake_cuda::NO_LIBRARY])
            .envs(environment.iter().copied());
        let mut program = Program::start(&mut command);
        program.ready().await;
        Self {
            program,
            server,
            place,
        }
    }

    async fn score(&self) {
        let client = connect(&self.server.url()).await.client().clone();
        let rows = std::fs::read_to_string(self.place.at("rows.jsonl")).expect("read");
        for row in rows.lines().cycle().take(64) {
            client
                .publish("rows", row.to_owned().into())
                .await
                .expect("published");
        }
        eventually("all results", async || {
            self.program.metric("forebay_results_total", &[]) == ROWS
        })
        .await;
    }

    /// The number of a metric of the first step.
    fn says(&self, name: &str) -> Option<f64> {
        let (_, text) = self.program.get("/metrics");
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")))?;
        assert!(
            line.contains("step=\"0\"") && line.contains("model="),
            "{line}"
        );
        line.rsplit(' ').next()?.parse().ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_so_many_rows_are_compared_while_it_serves() {
    let serving = Serving::start(", device: cuda, precision: fp32, parity: 1/4", &[]).await;
    assert_eq!(serving.says("forebay_parity_rows_total"), None);
    serving.score().await;
    // One of each batch at most, of batches of 1 to 8 rows, by two engines.
    let rows = serving.says("forebay_parity_rows_total").expect("compared");
    assert!((8.0..=18.0).contains(&rows), "{rows}");
    assert_eq!(serving.says("forebay_parity_rows_beyond_total"), Some(0.0));
    let difference = serving.says("forebay_parity_difference").expect("a number");
    assert!(difference < 1e-4, "{difference}");
    serving.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_compared_that_was_not_asked_for() {
    let serving = Serving::start(", device: cuda, precision: fp32", &[]).await;
    serving.score().await;
    assert_eq!(serving.says("forebay_parity_rows_total"), None);
    serving.program.stop().await;
}

/// A device that computes something else than it did is noticed, and the results go out all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_goes_wrong_while_it_serves_is_noticed() {
    // Copies down that do nothing leave the results of the batch before.
    let skip = (60..200)
        .map(|call| format!("run:{call}"))
        .collect::<Vec<_>>()
        .join(",");
    let faults = [("FAKE_SKIP", skip.as_str())];
    let serving = Serving::start(", device: cuda, precision: fp32, parity: 1/1", &faults).await;
    serving.score().await;
    let beyond = serving
        .says("forebay_parity_rows_beyond_total")
        .expect("compared");
    assert!(beyond > 0.0);
    assert!(serving.says("forebay_parity_difference").expect("a number") > 1e-3);
    let said = serving.program.said();
    // Each of two engines says it once at most.
    let times = said.matches("against 1.0e-4 that are allowed").count();
    assert!((1..=2).contains(&times), "{said}");
    serving.program.stop().await;
}
