//! Files that nobody should send.

use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::{file, run};
use crate::host::image::{Fit, ImageFault, ImageOptions, ImageStep, LONGEST_SIDE};

fn options() -> ImageOptions {
    ImageOptions::new([32, 32], Fit::Crop)
}

fn chunk(name: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(body.len())
        .expect("short")
        .to_be_bytes()
        .to_vec();
    chunk.extend_from_slice(&name);
    chunk.extend_from_slice(body);
    let mut crc = !0_u32;
    for byte in &chunk[4..] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    chunk.extend_from_slice(&(!crc).to_be_bytes());
    chunk
}

/// A PNG, RGB with 8 bits, of the chunks after its header.
fn png(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(chunk(*b"IHDR", &header));
    bytes.extend(chunks.concat());
    bytes.extend(chunk(*b"IEND", b""));
    bytes
}

/// `q90_420.jpg` with another size in its frame header.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = file("q90_420.jpg");
    let at = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .expect("a frame header");
    bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// `lossy.webp` with another size in its own header.
fn webp(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = file("lossy.webp");
    bytes[26..28].copy_from_slice(&width.to_le_bytes());
    bytes[28..30].copy_from_slice(&height.to_le_bytes());
    bytes
}

/// `lossless_clear.webp` behind a canvas of another size.
fn canvas(width: u32, height: u32) -> Vec<u8> {
    let plain = file("lossless.webp");
    let mut body = b"WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    body.extend_from_slice(&(width - 1).to_le_bytes()[..3]);
    body.extend_from_slice(&(height - 1).to_le_bytes()[..3]);
    body.extend_from_slice(&plain[12..]);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len()).expect("short").to_le_bytes());
    bytes.extend(body);
    bytes
}

fn half(name: &str) -> Vec<u8> {
    let bytes = file(name);
    bytes[..bytes.len() / 2].to_vec()
}

/// The file with some bytes overwritten, from a part of its length on, in percent. (A JPEG, which has
/// no checksum, may still decode to something then.)
fn overwritten(name: &str, percent: usize, len: usize) -> Vec<u8> {
    let mut bytes = file(name);
    let at = bytes.len() * percent / 100;
    bytes[at..at + len].fill(0xfe);
    bytes
}

/// JPEG without the tables of its codes: they are called comments.
fn without_tables() -> Vec<u8> {
    let mut bytes = file("q90_444.jpg");
    let places: Vec<usize> = (0..bytes.len() - 1)
        .filter(|&at| bytes[at..at + 2] == [0xff, 0xc4])
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 1] = 0xfe;
    }
    bytes
}

/// JPEG whose frame header has another marker, or another number of components.
fn other_frame(marker: u8, components: u8) -> Vec<u8> {
    let mut bytes = file("q90_420.jpg");
    let at = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .expect("a frame header");
    bytes[at + 1] = marker;
    bytes[at + 9] = components;
    bytes
}

fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no bytes", Vec::new()),
        ("GIF", b"GIF89a\x01\0\x01\0".to_vec()),
        ("BMP", b"BM\x36\x10\0\0".to_vec()),
        ("TIFF", b"II*\0\x08\0\0\0".to_vec()),
        ("PDF", b"%PDF-1.7\n".to_vec()),
        ("AVIF", b"\0\0\0\x1cftypavif".to_vec()),
        ("MP4", b"\0\0\0\x1cftypisom".to_vec()),
        ("WAV", b"RIFF\x24\0\0\0WAVE".to_vec()),
        ("Base64", b"/9j/4AAQSkZJRgABAQ".to_vec()),
        ("a data URL", b"data:image/png;base64,iVBOR".to_vec()),
        ("SVG", b"<svg xmlns=".to_vec()),
        ("text", b"no such image".to_vec()),
        ("numbers", vec![0, 1, 2, 3, 250]),
        ("a signature alone, JPEG", b"\xff\xd8\xff".to_vec()),
        ("a signature alone, PNG", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("a signature alone, WebP", b"RIFF\0\0\0\0WEBP".to_vec()),
        ("100,000 x 100,000 PNG", png(100_000, 100_000, &[])),
        ("a PNG of 100,000 x 1", png(100_000, 1, &[])),
        ("65,535 x 65,535 JPEG", jpeg(65_535, 65_535)),
        ("16,383 x 16,383 WebP", webp(16_383, 16_383)),
        ("a WebP canvas of 2^24 x 2^24", canvas(1 << 24, 1 << 24)),
        ("a WebP canvas that is not the picture", canvas(10, 10)),
        ("a PNG of 0 x 5", png(0, 5, &[])),
        ("a JPEG of 5 x 0", jpeg(5, 0)),
        ("a WebP of 0 x 5", webp(0, 5)),
        ("a PNG without pixels", png(5, 5, &[])),
        (
            "a PNG whose first chunk is no header",
            b"\x89PNG\r\n\x1a\n\0\0\0\0IDAT".to_vec(),
        ),
        ("half a JPEG", half("q90_420.jpg")),
        ("half a progressive JPEG", half("progressive_420.jpg")),
        ("half a PNG", half("rgb.png")),
        ("half a WebP", half("lossy.webp")),
        ("a JPEG without its tables", without_tables()),
        (
            "a PNG with a byte overwritten",
            overwritten("rgb.png", 50, 1),
        ),
        (
            "a WebP with bytes overwritten",
            overwritten("lossless.webp", 1, 40),
        ),
        ("a JPEG larger than its data", jpeg(900, 900)),
        ("a lossless JPEG", other_frame(0xc3, 3)),
        ("an arithmetic JPEG", other_frame(0xc9, 3)),
        ("a JPEG of two components", other_frame(0xc0, 2)),
        (
            "a JPEG without a frame header",
            b"\xff\xd8\xff\xd9".to_vec(),
        ),
        ("CMYK", file("cmyk.jpg")),
        ("gray with 16 bits", file("gray_16.png")),
    ]
}

#[test]
fn reasons() {
    let mut text = String::new();
    for (name, bytes) in hostile() {
        let reason = match run(options(), &bytes) {
            Ok(_) => "read".to_owned(),
            Err(fault) => format!("{}: {fault}", fault.kind()),
        };
        writeln!(text, "{name}\n  {reason}").expect("a string");
    }
    let few = ImageOptions {
        max_bytes: 1000,
        ..options()
    };
    let fault = run(few, &file("rgb.png")).expect_err("too many bytes");
    writeln!(text, "more bytes than allowed\n  {}: {fault}", fault.kind()).expect("a string");
    assert_snapshot!(text);
}

/// Neither large numbers in a header nor chunks that unpack a thousandfold take memory.
#[test]
#[cfg(target_os = "linux")]
fn memory_is_taken_for_pixels_alone() {
    let peak = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .expect("a peak");
        line.split_whitespace()
            .nth(1)
            .and_then(|kb| kb.parse().ok())
            .expect("a number")
    };
    // 64 MiB of zeros, packed: deflate's best is 1032 to 1.
    let zeros = deflated_zeros(64 << 20);
    let text = [b"bomb\0\0".as_slice(), &zeros].concat();
    let bombs: Vec<Vec<u8>> = [*b"iCCP", *b"zTXt", *b"eXIf"]
        .iter()
        .map(|name| png(3000, 2000, &vec![chunk(*name, &text); 40]))
        .chain([png(3000, 2000, &[chunk(*b"eXIf", &vec![0; 8 << 20])])])
        .collect();
    let files = hostile();
    let mut step = ImageStep::new(options()).expect("good options");
    let before = peak();
    for bytes in files.iter().map(|(_, bytes)| bytes).chain(&bombs) {
        drop(step.run(bytes, &mut Vec::new()));
    }
    let taken = peak() - before;
    // A picture of 3000 x 2000, whose pixels never come, takes 18,000 KiB.
    assert!(taken < 40_000, "{taken} KiB");
}

/// A zlib stream of `len` zero bytes: one byte, then matches of 258 at distance 1 with fixed codes.
fn deflated_zeros(len: usize) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x9c];
    let (mut held, mut count) = (0_u64, 0);
    let mut put = |value: u64, bits: u32, bytes: &mut Vec<u8>| {
        held |= value << count;
        count += bits;
        while count >= 8 {
            bytes.push((held & 0xff) as u8);
            held >>= 8;
            count -= 8;
        }
    };
    put(0b011, 3, &mut bytes);
    put(0b0000_1100, 8, &mut bytes);
    for _ in 0..len / 258 {
        put(0b1010_0011, 8, &mut bytes);
        put(0, 5, &mut bytes);
    }
    put(0, 7, &mut bytes);
    put(0, 7, &mut bytes);
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

const FILES: &[&str] = &[
    "q90_420.jpg",
    "q90_422.jpg",
    "q90_444.jpg",
    "progressive_420.jpg",
    "restarts.jpg",
    "gray.jpg",
    "exif_6.jpg",
    "rgb.png",
    "palette.png",
    "interlaced.png",
    "rgb_16.png",
    "animated.png",
    "exif_8.png",
    "lossy.webp",
    "lossy_clear.webp",
    "lossless.webp",
    "animated.webp",
    "animated_clear.webp",
    "exif_3.webp",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Bytes changed, cut out or doubled: a picture or a reason, never a panic, and nothing is left
    /// in the output but a whole picture.
    #[test]
    fn damaged_files(
        name in prop::sample::select(FILES),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        header in prop::collection::vec((0_usize..64, any::<u8>()), 0..3),
        cut in prop::option::weighted(0.3, (any::<prop::sample::Index>(), 0_usize..200)),
        double in prop::option::weighted(0.2, (any::<prop::sample::Index>(), 0_usize..200)),
    ) {
        let mut bytes = file(name);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in header {
            bytes[at] = value;
        }
        if let Some((at, len)) = cut {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        if let Some((at, len)) = double {
            let at = at.index(bytes.len().max(1)).min(bytes.len());
            let part = bytes[at..(at + len).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
        let options = ImageOptions { max_pixels: 1_000_000, ..options() };
        let mut out = vec![1, 2, 3];
        let result = ImageStep::new(options).expect("good options").run(&bytes, &mut out);
        prop_assert_eq!(out.len(), if result.is_ok() { 3 + 3 * 32 * 32 } else { 3 });
        if let Err(ImageFault::Corrupt { why, .. }) = result {
            prop_assert!(!why.contains("gave up"), "{} made its decoder panic", name);
        }
    }
}

/// The longest sides that are read, as thin as can be.
#[test]
fn thin_pictures_are_cheap() {
    for (width, height) in [(LONGEST_SIDE, 1), (1, LONGEST_SIDE)] {
        let rows = (width * 3 + 1) * height;
        let data = deflated_zeros(rows as usize / 258 * 258 + 258);
        let bytes = png(width, height, &[chunk(*b"IDAT", &data)]);
        for fit in [Fit::Stretch, Fit::Crop, Fit::Letterbox] {
            let out = run(ImageOptions::new([24, 24], fit), &bytes);
            assert_eq!(out.map(|out| out.len()), Ok(3 * 24 * 24), "{fit:?}");
        }
    }
}
