//! Values that a step on the host cannot turn: each message is rejected alone, with the reason, and
//! memory stays bounded.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use serde_json::{Value, json};

use crate::support::{
    connect, eventually,
    offline::{here, run},
    program::Program,
    server::NatsServer,
};

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(here(file)).expect("readable")
}

fn base64(file: &str) -> String {
    BASE64.encode(bytes(file))
}

/// `step` makes numbers of `value`, which are the result.
fn middle(dtype: &str, step: &str, part: &str) -> String {
    format!(
        "fields: {{ value: {{ dtype: {dtype} }} }}
steps:
  - {step}
    input: value
    output: made
  - reshape: {{ shape: -1 }}
    input: made{part}
    output: flat"
    )
}

const IMAGE: &str = "image: { size: [4, 4], fit: stretch, layout: hwc }";

/// The values go in as messages, and as the records of one message; both times the good ones
/// (`None`) have a result, and the others their reason.
fn assert_alone(middle: &str, values: &[(Value, Option<&str>)]) {
    let records: Vec<Value> = (0_i64..)
        .zip(values)
        .map(|(id, (value, _))| json!({ "id": id, "value": value }))
        .collect();
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let ran = run(middle, &lines);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let good = values.iter().filter(|(_, fault)| fault.is_none()).count();
    assert_eq!(ran.results.len(), good, "{ran:#?}");
    let mut reasons = ran.reasons();
    for fault in values.iter().filter_map(|(_, fault)| *fault) {
        let at = reasons.iter().position(|(stage, reason)| {
            stage == "decode" && reason.contains("field `value`") && reason.contains(fault)
        });
        reasons.remove(at.unwrap_or_else(|| panic!("nobody says `{fault}`: {reasons:#?}")));
    }
    assert!(reasons.is_empty(), "{reasons:#?}");

    let ran = run(middle, &[Value::Array(records).to_string()]);
    assert_eq!(ran.results.len(), 1, "{ran:#?}");
    let list = ran.results[0].as_array().expect("a list for a list");
    assert_eq!(list.len(), values.len());
    for (result, (_, fault)) in list.iter().zip(values) {
        match fault {
            None => assert!(result["flat"].is_array(), "{result}"),
            Some(fault) => {
                let reason = result["error"]["reason"].as_str().unwrap_or_default();
                assert_eq!(result["error"]["stage"], "decode", "{result}");
                assert!(reason.contains(fault), "{result}");
            }
        }
    }
}

#[test]
fn a_bad_image_is_rejected_alone() {
    let photo = base64("tests/data/images/photo.jpg");
    let whole = bytes("tests/data/images/photo.jpg");
    let truncated = BASE64.encode(&whole[..whole.len() / 2]);
    assert_alone(
        &middle("bytes", IMAGE, ""),
        &[
            (photo.clone().into(), None),
            (
                base64("tests/data/step_faults/huge.png").into(),
                Some("100000 × 100000 pixels"),
            ),
            (truncated.into(), Some("truncated")),
            // A name is nothing to go by: the bytes are.
            (base64("tests/data/images/rgb.png").into(), None),
            (
                base64("tests/data/step_faults/small.gif").into(),
                Some("GIF"),
            ),
            ("".into(), Some("the image file is empty")),
            ("not base64!".into(), Some("base64")),
            (json!(7), Some("")),
            (Value::Null, Some("")),
            (photo.into(), None),
        ],
    );
}

#[test]
fn a_text_that_is_too_long_is_rejected_alone() {
    let tokenizer = here("tests/data/text/wordpiece.json");
    let step = format!(
        "text: {{ tokenizer: {tokenizer}, max_length: 8, truncation: reject, max_bytes: 100 }}"
    );
    assert_alone(
        &middle("string", &step, ".input_ids"),
        &[
            ("one".into(), None),
            (
                "one two three four five six seven".into(),
                Some("more than the 8 allowed"),
            ),
            ("".into(), None),
            (
                "a".repeat(101).into(),
                Some("the text has 101 bytes, more than the 100 allowed"),
            ),
            (json!(["one"]), Some("")),
            ("two".into(), None),
        ],
    );
}

#[test]
fn a_window_that_is_not_filled_is_rejected_alone() {
    let encoded = |bytes: &[u8]| Value::from(BASE64.encode(bytes));
    assert_alone(
        &middle("bytes", "window: { head: 4, pad: 256, min_bytes: 3 }", ""),
        &[
            (encoded(b"abcdef"), None),
            (encoded(b"ab"), Some("3")),
            (encoded(b""), Some("3")),
            (encoded(b"abc"), None),
        ],
    );
}

#[test]
fn a_sound_of_another_rate_is_rejected_alone() {
    let step = "audio: { sample_rate: 16000, samples: 4, short: pad, long: cut, loud: clip }";
    let wav = bytes("tests/data/audio/pcm16_1.wav");
    let rate = u32::from_le_bytes([wav[24], wav[25], wav[26], wav[27]]);
    let mut right = wav.clone();
    right[24..28].copy_from_slice(&16000_u32.to_le_bytes());
    let mut wrong = wav;
    wrong[24..28].copy_from_slice(&44100_u32.to_le_bytes());
    assert!(rate > 0);
    let encoded = |bytes: &[u8]| Value::from(BASE64.encode(bytes));
    assert_alone(
        &middle("bytes", step, ""),
        &[
            (encoded(&right), None),
            (encoded(&wrong), Some("44100 samples for each second")),
            (encoded(&right[..30]), Some("cut short")),
            (encoded(b"ID3 an mp3"), Some("no WAV file")),
            (encoded(b""), Some("no WAV file")),
            (base64("tests/data/audio/ulaw_1.wav").into(), Some("µ-law")),
        ],
    );
}

/// Bytes as MessagePack has them.
fn packed(id: u8, value: &[u8]) -> Vec<u8> {
    let mut message = vec![0x82, 0xa2, b'i', b'd', id, 0xa5];
    message.extend(b"value");
    message.push(0xc6);
    message.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
    message.extend(value);
    message
}

/// Over NATS, 400 bad images among 40 good ones: the good ones are answered, the bad ones counted
/// and kept with their reasons, and memory does not grow with what the headers claim.
#[expect(clippy::too_many_lines, reason = "one way through a pipeline")]
async fn over_nats(decode: &str, encode: impl Fn(u8, &[u8]) -> Vec<u8>) {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let client = connection.client();
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("pipeline.yaml");
    let text = format!(
        "name: test
source: {{ nats: {{ url: \"${{NATS_URL}}\", subject: images }} }}
decode: {{ {decode}: {{}} }}
{}
sink: {{ reply: {{}} }}
dead_letter: {{ nats: {{ subject: dead }} }}
http: {{ listen: \"${{HTTP_LISTEN}}\" }}
",
        middle("bytes", IMAGE, "")
    );
    std::fs::write(&file, text).expect("written");
    let mut program = Program::run(&file, &server.url());
    program.ready().await;
    let mut dead = client.subscribe("dead").await.expect("subscribed");
    client.flush().await.expect("flushed");

    let photo = bytes("tests/data/images/photo.jpg");
    let good = encode(1, &photo).into();
    client.request("images", good).await.expect("answered");
    let before = program.resident();
    let huge = bytes("tests/data/step_faults/huge.png");
    let bad = [
        (&huge[..], "100000 × 100000 pixels"),
        (&photo[..photo.len() / 2], "truncated"),
        (&b""[..], "the image file is empty"),
        (&b"GIF89a"[..], "GIF"),
    ];
    for round in 0..100 {
        for (value, _) in bad {
            let payload = encode(2, value).into();
            client.publish("images", payload).await.expect("published");
        }
        if round % 10 == 0 {
            let payload = encode(3, &photo).into();
            let answer = client.request("images", payload).await.expect("answered");
            let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
            assert!(answer["flat"].is_array(), "{answer}");
        }
    }
    let mut found = [0; 4];
    for _ in 0..400 {
        let letter = futures_util::StreamExt::next(&mut dead)
            .await
            .expect("a letter");
        let headers = letter.headers.expect("headers");
        let header = |name: &str| {
            headers
                .get(name)
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        assert_eq!(header("Forebay-Stage"), "decode");
        let reason = header("Forebay-Reason");
        assert!(reason.starts_with("field `value`: "), "{reason}");
        let kind = bad.iter().position(|(_, fault)| reason.contains(fault));
        found[kind.unwrap_or_else(|| panic!("{reason}"))] += 1;
    }
    assert_eq!(found, [100; 4]);
    eventually("all are counted", async || {
        program.metric("forebay_rejects_total", &["stage=\"decode\""]) == 400
    })
    .await;
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_images_over_nats_are_counted_and_memory_stays() {
    over_nats("bytes", |_, value| value.to_vec()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_images_in_messagepack_are_counted_and_memory_stays() {
    over_nats("msgpack", packed).await;
}

/// No text is a fault: what is known of none has a place too. Numbers by scikit-learn's `FeatureHasher(8)`.
#[test]
fn every_text_has_a_place() {
    let texts = ["a", "ab", "own"].map(|text| json!({ "value": text }).to_string());
    let results = |step: &str| {
        let ran = run(&middle("string", step, ""), &texts);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let flat = ran.results.iter().map(|result| result["flat"].clone());
        Value::Array(flat.collect())
    };
    assert_eq!(
        results("hash: { places: 8 }"),
        json!([
            [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        ])
    );
    assert_eq!(
        results("hash: { places: 8, form: place }"),
        json!([2, 1, 6])
    );
}
