//! What a file is, by its first bytes.

use super::fault::{Format, ImageFault};

/// First bytes of formats that people send by mistake.
const OTHERS: &[(&[u8], &str)] = &[
    (b"GIF87a", "the bytes look like a GIF"),
    (b"GIF89a", "the bytes look like a GIF"),
    (b"BM", "the bytes look like a BMP"),
    (b"II*\0", "the bytes look like a TIFF"),
    (b"MM\0*", "the bytes look like a TIFF"),
    (b"%PDF", "the bytes look like a PDF"),
    (b"\0\0\x01\0", "the bytes look like an ICO"),
    (b"\0\0\0\x0cjP  ", "the bytes look like a JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "the bytes look like a JPEG XL"),
    (b"\xff\x0a", "the bytes look like a JPEG XL"),
    (b"PK\x03\x04", "the bytes look like a ZIP archive"),
    (b"\x1f\x8b", "the bytes look like a gzip file"),
    (
        b"data:",
        "the bytes look like a data URL; decode its Base64 before sending it",
    ),
    (
        b"/9j/",
        "the bytes look like a JPEG in Base64; decode it before sending it",
    ),
    (
        b"iVBORw0KGgo",
        "the bytes look like a PNG in Base64; decode it before sending it",
    ),
    (
        b"UklGR",
        "the bytes look like a WebP in Base64; decode it before sending it",
    ),
    (b"<svg", "the bytes look like an SVG"),
    (b"<?xml", "the bytes look like XML, an SVG perhaps"),
    (b"<!DOCTYPE", "the bytes look like an HTML page"),
    (b"<html", "the bytes look like an HTML page"),
    (b"{", "the bytes look like JSON"),
];

/// The format of `bytes`.
///
/// # Errors
/// It is none that is read; the fault says what it looks like.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, ImageFault> {
    if bytes.is_empty() {
        return Err(ImageFault::Empty);
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(Format::Webp);
    }
    Err(ImageFault::OtherFormat {
        looks: looks_like(bytes),
    })
}

fn looks_like(bytes: &[u8]) -> String {
    if let Some((_, looks)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*looks).to_owned();
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        let heif = matches!(
            bytes.get(8..12),
            Some(b"avif" | b"avis" | b"heic" | b"heix" | b"mif1" | b"msf1")
        );
        let what = if heif {
            "an AVIF or HEIC picture"
        } else {
            "a video (MP4)"
        };
        return format!("the bytes look like {what}");
    }
    if bytes.starts_with(b"RIFF") {
        return "the bytes look like a RIFF file that is no WebP (WAV or AVI, perhaps)".to_owned();
    }
    let start = bytes.get(..bytes.len().min(12)).unwrap_or_default();
    if start
        .iter()
        .all(|&byte| byte == b' ' || byte.is_ascii_graphic())
    {
        return format!(
            "the bytes look like text ({:?})",
            String::from_utf8_lossy(start)
        );
    }
    let hex: Vec<String> = start.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "the first bytes, {}, are of no known image format",
        hex.join(" ")
    )
}
