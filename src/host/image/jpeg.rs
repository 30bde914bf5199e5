//! JPEG: the header is read here, before memory is taken; zune-jpeg decodes.
//!
//! JPEG has no checksum: damage inside the coded data that still decodes to something goes unseen,
//! here as in Pillow.

use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::{
    exif,
    fault::{Format, ImageFault},
    frame::{Frame, Limits},
    options::LONGEST_SIDE,
};

/// More scans than any encoder writes; each costs time.
const MAX_SCANS: usize = 100;

/// What the segments say.
#[derive(Debug, Default)]
struct Header {
    width: u32,
    height: u32,
    components: u8,
    /// Blocks of 8 × 8 values, all components together.
    blocks: u64,
    /// Bytes from the first scan to the end, so at least those of the coded data.
    coded: u64,
    orientation: u8,
    /// The marker that begins the frame header.
    frame: Option<u8>,
    /// Whether the end of the image is marked after the last scan.
    ends: bool,
}

/// Decodes into `frame`: one channel for gray, three for the rest.
pub(super) fn decode(bytes: &[u8], limits: Limits, frame: &mut Frame) -> Result<(), ImageFault> {
    let header = read_header(bytes)?;
    check(&header, limits)?;
    let (width, height) = (header.width as usize, header.height as usize);
    let (channels, space) = if header.components == 1 {
        (1, ColorSpace::Luma)
    } else {
        (3, ColorSpace::RGB)
    };
    let options = DecoderOptions::default()
        .set_max_width(LONGEST_SIDE as usize)
        .set_max_height(LONGEST_SIDE as usize)
        .set_strict_mode(true)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let corrupt = |why: String| ImageFault::Corrupt {
        format: Format::Jpeg,
        why,
    };
    decoder
        .decode_headers()
        .map_err(|error| corrupt(error.to_string()))?;
    let pixels = frame.take(width, height, channels);
    if decoder.output_buffer_size() != Some(pixels.len()) {
        return Err(corrupt("its segments contradict each other".to_owned()));
    }
    decoder
        .decode_into(pixels)
        .map_err(|error| corrupt(error.to_string()))?;
    frame.orientation = header.orientation;
    Ok(())
}

fn check(header: &Header, limits: Limits) -> Result<(), ImageFault> {
    let unsupported = |what| {
        Err(ImageFault::Unsupported {
            format: Format::Jpeg,
            what,
        })
    };
    match header.frame {
        Some(0xc0..=0xc2) => {}
        Some(0xc3 | 0xc5..=0xc7) => {
            return unsupported("lossless or hierarchical; save it as an ordinary (baseline) JPEG");
        }
        Some(_) => {
            return unsupported("arithmetic coded; save it as an ordinary (baseline) JPEG");
        }
        None => {
            return Err(ImageFault::Corrupt {
                format: Format::Jpeg,
                why: "there is no frame header".to_owned(),
            });
        }
    }
    match header.components {
        1 | 3 => {}
        4 => return unsupported("in CMYK, for print; save it as RGB"),
        _ => return unsupported("neither gray nor in colour; save it as RGB"),
    }
    limits.check(Format::Jpeg, header.width, header.height)?;
    // A block takes at least a bit for its mean and, unless progressive, one for the rest. Where
    // even that is not there, decoders fill up with gray.
    let bits = if header.frame == Some(0xc2) { 1 } else { 2 };
    if !header.ends || header.coded * 8 < header.blocks * bits {
        return Err(ImageFault::Truncated {
            format: Format::Jpeg,
        });
    }
    Ok(())
}

/// Walks over the segments (ITU-T T.81, B.1.1), and over the scans to the mark of the end.
fn read_header(bytes: &[u8]) -> Result<Header, ImageFault> {
    let truncated = ImageFault::Truncated {
        format: Format::Jpeg,
    };
    let mut header = Header {
        orientation: 1,
        ..Header::default()
    };
    let mut at = 2;
    let mut scans = None;
    // A marker is 0xff and a byte that is neither 0 (a stuffed 0xff of the data) nor 0xff
    // (fill). What lies between segments is data of a scan.
    while let Some(skip) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&byte| byte == 0xff))
    {
        at += skip + 1;
        let Some(&marker) = bytes.get(at) else { break };
        match marker {
            0xff => continue,
            0x00 | 0x01 | 0xd0..=0xd8 => {
                at += 1;
                continue;
            }
            0xd9 => {
                header.ends = true;
                header.coded = (at - scans.unwrap_or(at)) as u64;
                break;
            }
            _ => at += 1,
        }
        let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
            break;
        };
        let length = usize::from(u16::from_be_bytes(*length)).max(2);
        let Some(segment) = bytes.get(at + 2..at + length) else {
            break;
        };
        at += length;
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf if header.frame.is_none() => {
                read_frame(&mut header, marker, segment);
            }
            0xda => scans = scans.or(Some(at)),
            0xe1 => {
                if let Some(exif) = segment.strip_prefix(b"Exif\0\0") {
                    header.orientation = exif::orientation(exif);
                }
            }
            _ => {}
        }
    }
    if header.frame.is_none() && !header.ends {
        return Err(truncated);
    }
    Ok(header)
}

fn read_frame(header: &mut Header, marker: u8, segment: &[u8]) {
    if let [_, h1, h0, w1, w0, components, ref samplings @ ..] = *segment {
        header.frame = Some(marker);
        header.height = u32::from(u16::from_be_bytes([h1, h0]));
        header.width = u32::from(u16::from_be_bytes([w1, w0]));
        header.components = components;
        // Of each component: its name, how often it is sampled across and down, its table.
        let factors = samplings
            .chunks_exact(3)
            .map(|component| (u32::from(component[1] >> 4), u32::from(component[1] & 15)));
        let across = factors.clone().map(|it| it.0).max().unwrap_or(1).max(1);
        let down = factors.clone().map(|it| it.1).max().unwrap_or(1).max(1);
        header.blocks = factors
            .map(|(x, y)| {
                let width = (header.width * x).div_ceil(across).div_ceil(8);
                let height = (header.height * y).div_ceil(down).div_ceil(8);
                u64::from(width) * u64::from(height)
            })
            .sum();
    }
}
