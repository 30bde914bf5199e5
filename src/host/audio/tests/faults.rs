//! Every fault as an operator or a sender reads it, and no panic on anything.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// The file with some bytes replaced.
fn changed(name: &str, at: usize, with: &[u8]) -> Vec<u8> {
    let mut file = bytes(name);
    file[at..at + with.len()].copy_from_slice(with);
    file
}

fn told(cases: Vec<(&str, Vec<u8>)>, step: &AudioStep) -> String {
    let mut text = String::new();
    for (case, bytes) in cases {
        let mut out = vec![7.0];
        let fault = step.run(&bytes, &mut out).expect_err(case);
        assert_eq!(out, [7.0], "nothing is appended");
        writeln!(text, "{case}:\n  {}: {fault}", fault.kind()).expect("written to memory");
    }
    text
}

#[test]
fn files_that_are_rejected() {
    let file = bytes("pcm16_2.wav");
    let other = |start: &[u8]| [start, &[0; 40]].concat();
    let cases = vec![
        ("empty", vec![]),
        ("text", b"not audio".to_vec()),
        ("RF64", other(b"RF64")),
        ("RIFX", other(b"RIFX")),
        ("AVI", other(b"RIFF\x20\x00\x00\x00AVI ")),
        ("Ogg", other(b"OggS")),
        ("FLAC", other(b"fLaC")),
        ("AIFF", other(b"FORM")),
        ("MP3", other(b"\xff\xfb\x90")),
        ("MP4", other(b"\x00\x00\x00\x20ftypisom")),
        ("WebM", other(b"\x1a\x45\xdf\xa3")),
        ("half a file", file[..400].to_vec()),
        ("a header alone", file[..12].to_vec()),
        ("written to a pipe", changed("pcm16_1.wav", 4, &[0xff; 4])),
        (
            "samples written to a pipe",
            changed("pcm16_1.wav", 40, &[0xff; 4]),
        ),
        ("a size of nothing", changed("pcm16_1.wav", 4, &[0; 4])),
        ("no chunks", changed("pcm16_1.wav", 4, &[4, 0, 0, 0])),
        (
            "half a chunk's header",
            changed("pcm16_1.wav", 4, &[9, 0, 0, 0]),
        ),
        (
            "a format that goes past the end",
            changed("pcm16_1.wav", 16, &[0, 0, 0, 0x7f]),
        ),
        (
            "samples that go past the end",
            changed("pcm16_1.wav", 40, &[0x91, 1, 0, 0]),
        ),
        ("a short format", changed("pcm16_1.wav", 16, &[14, 0, 0, 0])),
        ("no format", changed("pcm16_1.wav", 12, b"junk")),
        ("two formats", [&file[..36], &file[12..]].concat()),
        ("no samples' chunk", changed("pcm16_1.wav", 36, b"junk")),
        ("no channels", changed("pcm16_1.wav", 22, &[0, 0])),
        ("no rate", changed("pcm16_1.wav", 24, &[0; 4])),
        ("a wrong frame", changed("pcm16_1.wav", 32, &[4, 0])),
        ("12 bits", changed("pcm16_1.wav", 34, &[12, 0])),
        ("ADPCM", changed("pcm16_1.wav", 20, &[0x11, 0])),
        ("another format", changed("pcm16_1.wav", 20, &[0x99, 9])),
        (
            "an extensible format that is short",
            changed("pcm16_1.wav", 20, &[0xfe, 0xff]),
        ),
        (
            "another extensible format",
            changed("extensible_3.wav", 48, &[1; 4]),
        ),
        ("µ-law", bytes("ulaw_1.wav")),
        ("64-bit floats", bytes("double_1.wav")),
        (
            "48 kHz",
            changed("pcm16_1.wav", 24, &48_000_u32.to_le_bytes()),
        ),
        ("two channels", file.clone()),
        ("a loud float", bytes("loud_1.wav")),
    ];
    let text = told(cases, &step(|options| options.short = Short::Pad));
    insta::assert_snapshot!("files", text);
}

#[test]
fn samples_that_are_rejected() {
    let third = step(|options| options.channel = Channel::Index(2));
    let mut text = told(
        vec![("the third of two channels", bytes("pcm16_2.wav"))],
        &third,
    );
    let mut empty = changed("pcm16_1.wav", 40, &[0; 4]);
    empty[4..8].copy_from_slice(&[36, 0, 0, 0]);
    let odd = changed("pcm16_1.wav", 40, &[0x8f, 1, 0, 0]);
    let wav = step(|options| options.short = Short::Pad);
    text += &told(vec![("no samples", empty), ("half a sample", odd)], &wav);
    let raw = step(|options| (options.format, options.samples) = (Format::F32le, 2));
    let floats = |values: &[f32]| {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    text += &told(
        vec![
            ("nothing", vec![]),
            ("five bytes", vec![0; 5]),
            ("one sample", floats(&[0.5])),
            ("three samples", floats(&[0.5, 0.5, 0.5])),
            ("not a number", floats(&[0.5, f32::NAN])),
            ("an infinity", floats(&[f32::NEG_INFINITY, 0.5])),
            ("integers as floats", floats(&[0.5, -32_768.0])),
        ],
        &raw,
    );
    let clip = step(|options| {
        (options.format, options.samples, options.loud) = (Format::F32le, 2, Loud::Clip);
    });
    text += &told(
        vec![("clipped, not a number", floats(&[2.0, f32::NAN]))],
        &clip,
    );
    insta::assert_snapshot!("samples", text);
}

#[test]
fn options_that_are_refused() {
    let mut text = String::new();
    let mut refused = |change: fn(&mut AudioOptions)| {
        let mut options = AudioOptions::new(RATE, FRAMES);
        change(&mut options);
        let fault = AudioStep::new(options).expect_err("options to refuse");
        writeln!(text, "{fault}").expect("written to memory");
    };
    refused(|o| o.sample_rate = 0);
    refused(|o| o.samples = 0);
    refused(|o| o.samples = usize::MAX);
    refused(|o| o.channels = Some(1));
    refused(|o| (o.format, o.channels) = (Format::S16le, Some(0)));
    refused(|o| (o.format, o.channels) = (Format::S16le, Some(257)));
    refused(|o| (o.format, o.channels) = (Format::S16le, Some(2)));
    refused(|o| (o.format, o.channel) = (Format::F32le, Channel::Index(1)));
    let read = |more: &str| {
        let text = format!(r#"{{"sample_rate": 8000, "samples": 200{more}}}"#);
        serde_json::from_str::<AudioOptions>(&text)
    };
    for more in [
        r#", "rate": 1"#,
        r#", "channel": "left""#,
        r#", "channel": -1"#,
        r#", "channel": 70000"#,
        r#", "format": "mp3""#,
    ] {
        let fault = read(more).expect_err("options to refuse");
        writeln!(text, "{fault}").expect("written to memory");
    }
    insta::assert_snapshot!("options", text);
    assert_eq!(read("").expect("options"), AudioOptions::new(RATE, FRAMES));
    for (word, channel) in [
        ("\"mean\"", Channel::Mean),
        ("\"only\"", Channel::Only),
        ("1", Channel::Index(1)),
    ] {
        let options = read(&format!(r#", "channel": {word}"#)).expect("options");
        assert_eq!(options.channel, channel);
    }
}

proptest! {
    /// Any bytes, and any file with something changed or cut off, give a row or nothing.
    #[test]
    fn any_bytes_give_a_row(
        name in prop::sample::select(vec!["pcm8_2.wav", "pcm24_1.wav", "float_3.wav", "extensible_3.wav"]),
        changes in prop::collection::vec((0usize..80, any::<u8>()), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        end in 0usize..3_000,
        kind in 0usize..3,
        channel in prop_oneof![Just(Channel::Only), Just(Channel::Mean), (0u16..4).prop_map(Channel::Index)],
    ) {
        let mut file = bytes(name);
        for (at, byte) in changes {
            file[at] = byte;
        }
        file.truncate(end);
        let mut options = AudioOptions::new(RATE, 64);
        options.format = [Format::Wav, Format::S16le, Format::F32le][kind];
        options.channels = (kind > 0).then_some(3);
        (options.short, options.long, options.channel) = (Short::Pad, Long::Cut, channel);
        if let Ok(step) = AudioStep::new(options) {
            for bytes in [file, noise] {
                let mut out = vec![7.0];
                let made = step.run(&bytes, &mut out);
                prop_assert_eq!(out.len(), if made.is_ok() { 65 } else { 1 });
                prop_assert!(out[1..].iter().all(|sample| (-1.0..=1.0).contains(sample)));
            }
        }
    }
}
