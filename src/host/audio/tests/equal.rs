//! The same samples as Python.

use super::*;

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (each, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    each.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

/// Names of files without their ends, and their channels.
const FILES: [(&str, u16); 12] = [
    ("pcm8_1", 1),
    ("pcm8_2", 2),
    ("pcm16_1", 1),
    ("pcm16_2", 2),
    ("pcm24_1", 1),
    ("pcm24_2", 2),
    ("pcm32_1", 1),
    ("pcm32_2", 2),
    ("float_1", 1),
    ("float_3", 3),
    ("extensible_3", 3),
    ("extensible_float_1", 1),
];

#[test]
fn wav_files_have_the_samples_of_libsndfile() {
    for (name, channels) in FILES {
        let file = bytes(&format!("{name}.wav"));
        let expected = floats(&bytes(&format!("{name}.f32")));
        assert_eq!(expected.len(), FRAMES * usize::from(channels));
        for channel in 0..channels {
            let one: Vec<_> = expected
                .iter()
                .copied()
                .skip(channel.into())
                .step_by(channels.into())
                .collect();
            let taken = step(|options| options.channel = Channel::Index(channel));
            assert_eq!(samples(&taken, &file), one, "{name}, channel {channel}");
        }
        let mean = match channels {
            1 => expected,
            _ => floats(&bytes(&format!("{name}.mean.f32"))),
        };
        let averaged = step(|options| options.channel = Channel::Mean);
        assert_eq!(samples(&averaged, &file), mean, "{name}, mean");
        let only = step(|_| ()).run(&file, &mut Vec::new());
        assert_eq!(only.is_ok(), channels == 1, "{name}, only");
    }
}

#[test]
fn raw_samples_are_those_of_the_file() {
    // 44 bytes of header, then nothing but samples.
    for channels in [1, 2] {
        let expected = floats(&bytes(&format!("pcm16_{channels}.f32")));
        let file = bytes(&format!("pcm16_{channels}.wav"));
        let raw = step(|options| {
            options.format = Format::S16le;
            options.channels = Some(channels);
            options.channel = Channel::Index(channels - 1);
        });
        let one = expected
            .iter()
            .skip(usize::from(channels) - 1)
            .step_by(channels.into());
        assert_eq!(samples(&raw, &file[44..]), one.copied().collect::<Vec<_>>());
    }
    let raw = step(|options| options.format = Format::F32le);
    let floats_as_bytes = bytes("float_1.f32");
    assert_eq!(samples(&raw, &floats_as_bytes), floats(&floats_as_bytes));
}

#[test]
fn short_is_padded_and_long_is_cut() {
    let whole = floats(&bytes("pcm16_1.f32"));
    let file = bytes("pcm16_1.wav");
    let longer = step(|options| (options.samples, options.short) = (FRAMES + 3, Short::Pad));
    let mut out = vec![7.0];
    assert_eq!(longer.run(&file, &mut out), Ok(FRAMES));
    assert_eq!(out[..=FRAMES], [&[7.0], &whole[..]].concat());
    assert_eq!(out[FRAMES + 1..], [0.0; 3]);
    let shorter = step(|options| (options.samples, options.long) = (150, Long::Cut));
    let mut out = Vec::new();
    assert_eq!(shorter.run(&file, &mut out), Ok(150));
    assert_eq!(out, whole[..150]);
    assert_eq!(shorter.samples(), 150);
}

#[test]
fn loud_floats_are_clipped() {
    let loud = |format| {
        step(|options| (options.format, options.samples, options.loud) = (format, 4, Loud::Clip))
    };
    assert_eq!(
        samples(&loud(Format::Wav), &bytes("loud_1.wav")),
        [0.5, 1.0, -1.0, 1.0]
    );
    assert_eq!(
        samples(&loud(Format::F32le), &bytes("loud_1.f32")),
        [0.5, 1.0, -1.0, 1.0]
    );
}

/// Chunks that say nothing about the samples, an odd one among them, and a last byte left out.
#[test]
fn other_chunks_are_passed_over() {
    let plain = bytes("pcm8_1.wav");
    let expected = samples(&step(|_| ()), &plain);
    let mut file = plain[..36].to_vec();
    file.extend(b"LIST\x03\x00\x00\x00abc\x00");
    file.extend(&plain[36..]);
    file.extend(b"junk\x01\x00\x00\x00x");
    let size = u32::try_from(file.len() - 8 + 1).expect("a small file");
    file[4..8].copy_from_slice(&size.to_le_bytes());
    assert_eq!(samples(&step(|_| ()), &file), expected);
    // What follows the file is not part of it.
    file.extend(b"\x00data\xff\xff");
    assert_eq!(samples(&step(|_| ()), &file), expected);
}
