//! The orientation in Exif data (CIPA DC-008, tag 0x0112): how the camera was held.

/// The orientation, from 1 (as stored) to 8, of Exif data that begin with the TIFF header; 1 where
/// they are damaged or say nothing, as Pillow has it.
pub(super) fn orientation(exif: &[u8]) -> u8 {
    find(exif).filter(|it| (1..=8).contains(it)).unwrap_or(1)
}

fn find(exif: &[u8]) -> Option<u8> {
    let little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = exif.get(at..)?.first_chunk()?;
        Some(if little {
            u16::from_le_bytes(*bytes)
        } else {
            u16::from_be_bytes(*bytes)
        })
    };
    let long = |at: usize| -> Option<u32> {
        let bytes = exif.get(at..)?.first_chunk()?;
        Some(if little {
            u32::from_le_bytes(*bytes)
        } else {
            u32::from_be_bytes(*bytes)
        })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = usize::from(short(directory)?);
    let first = directory.checked_add(2)?;
    let at = (0..entries)
        .map_while(|entry| first.checked_add(entry * 12))
        .find(|&at| short(at) == Some(0x0112))?;
    let is_short = short(at + 2)? == 3 && long(at + 4)? == 1;
    if is_short {
        u8::try_from(short(at + 8)?).ok()
    } else {
        None
    }
}

/// Turns a picture of `width` × `height` pixels of `channels` bytes as an orientation says. Gives
/// the new width and height.
pub(super) fn turn(
    pixels: &mut Vec<u8>,
    (width, height): (usize, usize),
    channels: usize,
    orientation: u8,
) -> (usize, usize) {
    if !(2..=8).contains(&orientation) {
        return (width, height);
    }
    let swaps = orientation >= 5;
    let (new_width, new_height) = if swaps {
        (height, width)
    } else {
        (width, height)
    };
    let mut turned = Vec::with_capacity(pixels.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (from_x, from_y) = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (y, x),
                6 => (y, height - 1 - x),
                7 => (width - 1 - y, height - 1 - x),
                _ => (width - 1 - y, x),
            };
            let at = (from_y * width + from_x) * channels;
            turned.extend_from_slice(pixels.get(at..at + channels).unwrap_or_default());
        }
    }
    *pixels = turned;
    (new_width, new_height)
}
