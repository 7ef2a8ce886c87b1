//! Draws QR codes: black on white, error correction level M, a quiet zone of at
//! least four modules on every side as ISO/IEC 18004 requires.
//!
//! A picture is as secret as its text: neither is logged or stored.

use std::fmt::{self, Write as _};

use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around the code.
const QUIET_ZONE: usize = 4;

/// A picture to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Format of the picture.
    pub format: Format,
    /// Width and height.
    pub pixels: u32,
}

/// Format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PNG.
    Png,
    /// SVG.
    Svg,
}

/// A picture of a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Picture {
    /// A PNG file.
    Png(Vec<u8>),
    /// An SVG document.
    Svg(String),
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png(_) => "Png(<redacted>)",
            Self::Svg(_) => "Svg(<redacted>)",
        })
    }
}

/// Why nothing was drawn. Contains nothing of the text.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The text does not fit into any QR code.
    #[error("the text is too long for a QR code")]
    TooLong,
    /// Fewer pixels than modules.
    #[error("{pixels} pixels are too few for {modules} modules")]
    TooSmall {
        /// As requested.
        pixels: u32,
        /// Of the code with its quiet zone.
        modules: usize,
    },
    /// The picture cannot be written.
    #[error("PNG: {0}")]
    Png(#[from] png::EncodingError),
}

/// Draws the QR code of a text. Takes well under a millisecond for the usual
/// size, so it needs no thread of its own.
///
/// # Errors
/// See [`DrawError`].
pub fn draw(text: &str, request: Request) -> Result<Picture, DrawError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| DrawError::TooLong)?;
    let code = Modules {
        width: code.width(),
        colors: code.into_colors(),
    };
    match request.format {
        Format::Png => code.png(request.pixels).map(Picture::Png),
        Format::Svg => Ok(Picture::Svg(code.svg(request.pixels))),
    }
}

struct Modules {
    width: usize,
    colors: Vec<Color>,
}

impl Modules {
    fn rows(&self) -> impl Iterator<Item = &[Color]> {
        self.colors.chunks_exact(self.width)
    }

    /// Exactly this many pixels wide and high. All modules have the same
    /// integer number of pixels; the remainder widens the quiet zone.
    fn png(&self, pixels: u32) -> Result<Vec<u8>, DrawError> {
        let size = pixels as usize;
        let modules = self.width + 2 * QUIET_ZONE;
        let scale = size / modules;
        if scale == 0 {
            return Err(DrawError::TooSmall { pixels, modules });
        }
        let before = (size - scale * self.width) / 2;
        // One bit per pixel, 1 is white, rows padded to whole bytes.
        let white = vec![0xff_u8; size.div_ceil(8)];
        let mut bitmap = Vec::with_capacity(white.len() * size);
        let blank = |bitmap: &mut Vec<u8>, rows: usize| {
            (0..rows).for_each(|_| bitmap.extend_from_slice(&white));
        };
        blank(&mut bitmap, before);
        for row in self.rows() {
            let mut line = white.clone();
            let dark = row.iter().enumerate().filter(|(_, color)| **color == Color::Dark);
            for (module, _) in dark {
                let left = before + module * scale;
                for pixel in left..left + scale {
                    if let Some(byte) = line.get_mut(pixel / 8) {
                        *byte &= !(0x80 >> (pixel % 8));
                    }
                }
            }
            (0..scale).for_each(|_| bitmap.extend_from_slice(&line));
        }
        blank(&mut bitmap, size - before - scale * self.width);

        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, pixels, pixels);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        // Rows of a QR code repeat: `Up` compresses best.
        encoder.set_filter(png::Filter::Up);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&bitmap)?;
        writer.finish()?;
        Ok(file)
    }

    /// One path, a horizontal bar per run of dark modules, in units of one
    /// module; scaled by the viewer.
    fn svg(&self, pixels: u32) -> String {
        let modules = self.width + 2 * QUIET_ZONE;
        let mut document = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" \
             viewBox=\"0 0 {modules} {modules}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{modules}v{modules}H0z\"/><path d=\""
        );
        for (y, row) in self.rows().enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run.first() == Some(&Color::Dark) {
                    let (left, top, length) = (x + QUIET_ZONE, y + QUIET_ZONE, run.len());
                    // Writing to a string cannot fail.
                    let _ = write!(document, "M{left} {top}h{length}v1h-{length}z");
                }
                x += run.len();
            }
        }
        document.push_str("\"/></svg>");
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "LPA:1$rsp.example.com$04386-AGYFT-A74Y8-3F815";

    /// Light and dark of a PNG, by rows.
    fn pixels(file: &[u8]) -> (usize, Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, info.height);
        (info.width as usize, pixels)
    }

    fn read_back(width: usize, pixels: &[u8]) -> String {
        let mut image =
            rqrr::PreparedImage::prepare_from_greyscale(width, width, |x, y| pixels[y * width + x]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    fn png(text: &str, pixels: u32) -> Vec<u8> {
        let request = Request {
            format: Format::Png,
            pixels,
        };
        match draw(text, request).unwrap() {
            Picture::Png(file) => file,
            Picture::Svg(_) => panic!("an SVG"),
        }
    }

    #[test]
    fn a_png_of_any_size_reads_back_and_has_its_quiet_zone() {
        for size in [128, 129, 200, 512, 1000, 2048] {
            let (width, pixels) = pixels(&png(CODE, size));
            assert_eq!(width, size as usize);
            assert_eq!(read_back(width, &pixels), CODE, "{size}");
            let modules = QrCode::with_error_correction_level(CODE, EcLevel::M)
                .unwrap()
                .width();
            let scale = width / (modules + 8);
            let first_dark = |at: &dyn Fn(usize, usize) -> usize| {
                (0..width)
                    .find(|line| (0..width).any(|place| pixels[at(*line, place)] == 0))
                    .unwrap()
            };
            let row = |line: usize, place: usize| line * width + place;
            let sides = [
                first_dark(&row),
                first_dark(&|line, place| row(place, line)),
                first_dark(&|line, place| row(width - 1 - line, place)),
                first_dark(&|line, place| row(place, width - 1 - line)),
            ];
            for quiet in sides {
                assert!(quiet >= 4 * scale, "{size}: {sides:?}, {scale} pixels per module");
            }
        }
    }

    #[test]
    fn the_longest_code_fits_the_smallest_size() {
        let longest = format!("LPA:1$rsp.example.com${}", "a".repeat(237));
        assert_eq!(longest.len(), 4 + 255);
        let (width, pixels) = pixels(&png(&longest, 128));
        assert_eq!(width, 128);
        assert!(pixels.contains(&0));
    }

    #[test]
    fn a_request_that_cannot_be_drawn_is_an_error() {
        let request = |pixels| Request {
            format: Format::Png,
            pixels,
        };
        assert!(matches!(
            draw(CODE, request(20)),
            Err(DrawError::TooSmall { pixels: 20, .. })
        ));
        assert!(matches!(
            draw(&"x".repeat(5000), request(512)),
            Err(DrawError::TooLong)
        ));
    }

    #[test]
    fn an_svg_reads_back() {
        let request = Request {
            format: Format::Svg,
            pixels: 300,
        };
        let Picture::Svg(document) = draw(CODE, request).unwrap() else {
            panic!("a PNG");
        };
        assert!(document.contains("width=\"300\" height=\"300\""), "{document}");
        // Paint the bars at four pixels per module.
        let modules: usize = document
            .split("viewBox=\"0 0 ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap()
            .parse()
            .unwrap();
        let width = modules * 4;
        let mut pixels = vec![255_u8; width * width];
        let bars = document.rsplit("d=\"").next().unwrap().split('"').next().unwrap();
        for bar in bars.split('M').skip(1) {
            let (left, rest) = bar.split_once(' ').unwrap();
            let (top, rest) = rest.split_once('h').unwrap();
            let (length, _) = rest.split_once('v').unwrap();
            let number = |text: &str| text.parse::<usize>().unwrap();
            let (left, top, length) = (number(left), number(top), number(length));
            assert!(left >= 4 && top >= 4 && left + length <= modules - 4);
            for y in top * 4..top * 4 + 4 {
                for x in left * 4..(left + length) * 4 {
                    pixels[y * width + x] = 0;
                }
            }
        }
        assert_eq!(read_back(width, &pixels), CODE);
    }
}
