//! One image: decoded, cropped to its middle, and resized.

use std::fmt;
use std::io::Cursor;

use image::imageops::FilterType;
use image::{ImageError, ImageFormat, ImageReader, RgbImage};

use super::IMAGE;

/// Most bytes of pixels in one image as it is decoded; a small file can claim more than any memory holds.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Decodes an image by its content, whatever its name: some JPEG files of ImageNet are PNG images.
pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let damaged = |error: &dyn fmt::Display| format!("is damaged, cut short or not {IMAGE} ({error})");
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| damaged(&error))?;
    if !matches!(reader.format(), Some(ImageFormat::Jpeg | ImageFormat::Png)) {
        return Err(damaged(&"its first bytes are those of neither"));
    }
    if reader.format() == Some(ImageFormat::Jpeg) && is_cut_jpeg(bytes) {
        return Err(damaged(&"its end is missing"));
    }
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|error| match error {
        ImageError::Limits(_) => {
            format!("takes more than the limit of {} MiB when it is decoded", MAX_DECODED_BYTES >> 20)
        }
        // The decoder's own words are of its insides.
        _ => damaged(&"it cannot be decoded"),
    });
    Ok(decoded?.into_rgb8())
}

/// Whether a JPEG image lacks its end, which the decoder fills with grey without a word.
///
/// Its segments up to the first scan, 0xda, are walked by their lengths, as a thumbnail among them has an end of its
/// own; in a scan 0xff 0xd9 is the end of the image and nothing else. An odd structure is left to the decoder.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4) {
        match kind {
            0xda => return !bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}

/// The middle square of an image at `side` × `side`.
///
/// Cropping before resizing gives the same square, and never holds a long strip enlarged.
pub(super) fn fit(image: RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let short = width.min(height);
    let middle = image::imageops::crop_imm(&image, (width - short) / 2, (height - short) / 2, short, short);
    if short == side {
        return middle.to_image();
    }
    image::imageops::resize(&*middle, side, side, FilterType::Triangle)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use image::{DynamicImage, Rgb};

    pub(in super::super) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// An image of which no two parts are alike.
    pub(in super::super) fn busy(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x * y * 7, x * 31, y * 77].map(|value| value as u8))).into()
    }

    #[test]
    fn the_middle_is_kept_and_resized() {
        // Left to right: 2 columns black, 4 columns 51, 2 columns white.
        let wide = RgbImage::from_fn(8, 4, |x, _| Rgb([[0, 51, 255][(x as usize + 2) / 4]; 3]));
        for side in [2, 4, 8] {
            let image = fit(wide.clone(), side);
            assert!(image.dimensions() == (side, side) && image.pixels().all(|pixel| pixel.0 == [51; 3]));
            let turned = fit(image::imageops::rotate90(&wide), side);
            assert_eq!(turned, image);
        }
        // Shrinking averages instead of picking pixels.
        let checks = RgbImage::from_fn(64, 64, |x, y| Rgb([if (x + y) % 2 == 0 { 0 } else { 200 }; 3]));
        assert!(fit(checks, 8).pixels().all(|pixel| pixel.0.iter().all(|&value| value.abs_diff(100) <= 5)));
        // Nothing of the size of the strip enlarged is ever held.
        assert_eq!(fit(RgbImage::new(1, 100_000), 256).dimensions(), (256, 256));
    }

    #[test]
    fn an_image_cut_anywhere_is_refused() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = encoded(&busy(40, 30), format);
            assert!(decode(&bytes).is_ok());
            // The check value of a PNG image's last, empty chunk does not matter.
            let end = bytes.len() - if format == ImageFormat::Png { 12 } else { 0 };
            for kept in 0..end {
                assert!(decode(&bytes[..kept]).is_err(), "{format:?} cut to {kept} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn an_image_claiming_an_absurd_size_is_refused() {
        let mut bytes = encoded(&busy(4, 4), ImageFormat::Png);
        // Width and height in the first chunk, whose check value follows its 13 bytes.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let check = crc32fast::hash(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&check.to_be_bytes());
        let message = decode(&bytes).unwrap_err();
        assert!(message.contains("limit"), "{message}");
    }

    #[test]
    fn a_jpeg_may_hold_a_thumbnail_and_go_on_after_its_end() {
        let whole = encoded(&busy(40, 30), ImageFormat::Jpeg);
        let thumbnail = encoded(&busy(8, 8), ImageFormat::Jpeg);
        let length = (thumbnail.len() as u16 + 2).to_be_bytes();
        let with = |rest: &[u8]| [&whole[..2], &[0xff, 0xe1], &length, &thumbnail, rest].concat();
        assert!(decode(&[&with(&whole[2..])[..], b"more"].concat()).is_ok());
        assert!(decode(&with(&whole[2..whole.len() - 2])).is_err());
    }
}
