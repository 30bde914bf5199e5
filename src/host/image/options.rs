//! What may be said about an image step, and the checks of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::OptionFault;

/// The longest side of an image that is read, in pixels: JPEG's own limit.
pub const LONGEST_SIDE: u32 = 65_535;
/// The longest side that `size` may ask for, in pixels.
pub(super) const LONGEST_OUTPUT_SIDE: usize = 4_096;

/// The bytes of a JPEG, PNG or WebP file become pixels of a fixed size: integers from 0 to 255.
///
/// The pixels are those that Pillow gives for `Image.open(file).convert("RGB")` and `resize`, or
/// torchvision with `Resize` and `CenterCrop` on a Pillow image. As there, colour profiles are not
/// applied, what is transparent shows its colour without the transparency, and of an animation the
/// first frame is taken. A file that cannot be read is rejected alone, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageOptions {
    /// Height and width of what the model gets, in pixels, in this order: `[224, 224]`. Each side
    /// is from 1 to 4096.
    #[schemars(inner(range(min = 1, max = 4096)))]
    pub size: [usize; 2],
    /// How a picture of another shape comes to this size. Take what the training code did: a wrong
    /// choice gives no error, only worse predictions.
    pub fit: Fit,
    /// For `fit: crop` alone: the length that the shorter side is brought to before the centre is
    /// cut out, in pixels, as in torchvision's `Resize(256)` before `CenterCrop(224)`. At least as
    /// long as both sides of `size`. Left out, the picture is made just large enough to cover
    /// `size`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4096))]
    pub resize: Option<usize>,
    /// How pixels are made from their neighbours. All but `nearest` smooth when they make a picture
    /// smaller (antialias), as Pillow does; OpenCV does not.
    #[serde(default)]
    pub filter: Filter,
    /// Which channels the model gets, and their order.
    #[serde(default)]
    pub channels: Channels,
    /// For `fit: letterbox` alone: the colour of the margin as red, green, blue, each from 0 to
    /// 255. `[114, 114, 114]` when left out, as Ultralytics has it.
    #[serde(default)]
    pub fill: Option<[u8; 3]>,
    /// For `fit: letterbox` alone: where the picture lies in the margin.
    #[serde(default)]
    pub align: Align,
    /// The order of the axes in a row.
    #[serde(default)]
    pub layout: AxisOrder,
    /// What to do with the orientation that cameras write into the file. Pillow and torchvision
    /// ignore it unless the training code calls `ImageOps.exif_transpose`.
    #[serde(default)]
    pub orientation: Orientation,
    /// A picture of more pixels (width × height, as its header says) is rejected before memory is
    /// taken for it. Reading takes 3 to 12 bytes a pixel (16 for thin ones) in each decode thread.
    #[serde(default = "max_pixels")]
    #[schemars(range(min = 1))]
    pub max_pixels: u64,
    /// A file of more bytes is rejected unread.
    #[serde(default = "max_bytes")]
    #[schemars(range(min = 1))]
    pub max_bytes: usize,
}

/// A camera of 24 megapixels (6000 × 4000) is below it.
fn max_pixels() -> u64 {
    25_000_000
}

fn max_bytes() -> usize {
    16_000_000
}

/// How a picture of another shape comes to the asked size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Both sides are brought to `size`; what was round may become oval. Pillow's
    /// `resize((width, height))`, torchvision's `Resize((height, width))`. (Pillow 13 and later
    /// give slightly other pixels where the height shrinks much more than the width.)
    Stretch,
    /// The picture keeps its proportions, is made to cover `size`, and the centre is cut out.
    /// torchvision's `Resize(n)` and `CenterCrop(n)`; see `resize`.
    Crop,
    /// The picture keeps its proportions, is made to fit into `size` and lies in a margin of
    /// one colour, `fill`, in the middle or where `align` says. The sizes and offsets are those of Ultralytics' `LetterBox`,
    /// the resampling is that of `filter` (Ultralytics takes OpenCV's, without antialias).
    Letterbox,
}

/// Where a picture lies in the margin of a letterbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// In the middle; where that is between two pixels, one nearer to the top and to the left.
    #[default]
    Center,
    /// At the top and at the left, as PaddleOCR and YOLOX have it.
    TopLeft,
}

/// How pixels are made from their neighbours; the names are Pillow's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel, without smoothing.
    Nearest,
    /// Linear, antialiased. The default of torchvision.
    #[default]
    Bilinear,
    /// Cubic with a = -0.5, antialiased. The default of Pillow.
    Bicubic,
    /// Lanczos with three lobes, antialiased.
    Lanczos,
}

/// Which channels the model gets, and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Three: red, green, blue. Pillow's `convert("RGB")`.
    #[default]
    Rgb,
    /// Three: blue, green, red, as OpenCV reads files.
    Bgr,
    /// One: luma, 0.299 red + 0.587 green + 0.114 blue. Pillow's `convert("L")`.
    Gray,
}

impl Channels {
    /// How many channels a pixel has.
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Gray => 1,
        }
    }
}

/// The order of the axes in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AxisOrder {
    /// Channels, height, width: PyTorch's order.
    #[default]
    Chw,
    /// Height, width, channels: TensorFlow's order.
    Hwc,
}

/// What to do with the orientation that cameras write into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// The pixels stay as they are stored.
    #[default]
    Ignore,
    /// The picture is turned as its Exif orientation says, before anything else: Pillow's
    /// `ImageOps.exif_transpose`. Without an orientation in the file, it stays.
    Exif,
}

impl ImageOptions {
    /// Options with nothing but what must be said; the rest as it is when left out of the file.
    pub fn new(size: [usize; 2], fit: Fit) -> Self {
        Self {
            size,
            fit,
            resize: None,
            filter: Filter::default(),
            channels: Channels::default(),
            fill: None,
            align: Align::default(),
            layout: AxisOrder::default(),
            orientation: Orientation::default(),
            max_pixels: max_pixels(),
            max_bytes: max_bytes(),
        }
    }

    /// The colour of the margin of a letterbox, as red, green, blue.
    pub(super) fn margin(&self) -> [u8; 3] {
        self.fill.unwrap_or([114, 114, 114])
    }

    /// Whether the options make sense together.
    pub(super) fn check(&self) -> Result<(), OptionFault> {
        let [height, width] = self.size;
        if height.min(width) == 0 || height.max(width) > LONGEST_OUTPUT_SIDE {
            return Err(OptionFault::Size { height, width });
        }
        if let Some(resize) = self.resize {
            if self.fit != Fit::Crop {
                return Err(OptionFault::ResizeWithoutCrop);
            }
            if resize < height.max(width) || resize > LONGEST_OUTPUT_SIDE {
                return Err(OptionFault::Resize {
                    resize,
                    height,
                    width,
                });
            }
        }
        if self.fill.is_some() && self.fit != Fit::Letterbox {
            return Err(OptionFault::FillWithoutLetterbox);
        }
        if self.align != Align::default() && self.fit != Fit::Letterbox {
            return Err(OptionFault::AlignWithoutLetterbox);
        }
        if self.max_pixels == 0 {
            return Err(OptionFault::NoPixels);
        }
        if self.max_bytes == 0 {
            return Err(OptionFault::NoBytes);
        }
        Ok(())
    }
}
