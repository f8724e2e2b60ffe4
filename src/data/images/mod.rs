//! Folders of JPEG and PNG images, one folder a class, as in ImageNet and its subsets.
//!
//! ```text
//! PATH/train/CLASS/*.jpg    classes numbered from 0 in the order of their names
//! PATH/test/CLASS/*.jpg     the same classes; `val` and `validation` serve as `test`
//! ```
//!
//! All images are decoded at once, on all cores, and kept as bytes at the size asked for.

mod decode;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::decode::{decode, fit};
use super::{DataError, SampleSet, Split, copy_bytes, open_file, read_all};

const CHANNELS: usize = 3;

/// Most bytes that the images of a set may take: 21 000 images at side 256.
const MAX_BYTES: u64 = 4 << 30;

/// Largest accepted file, which no photograph comes near.
const MAX_FILE_BYTES: u64 = 1 << 30;

const LAYOUT: &str = "expected a folder train and a folder test (or val, or validation), each with the same \
                      folders, one a class, of .jpg, .jpeg or .png images: train/CLASS/IMAGE.jpg";

const IMAGE: &str = "a JPEG or PNG image";

/// Images `[3, side, side]` (red, green, blue; row; column) in \[0, 1\] from a folder for each class.
pub struct ImageFolder {
    /// Names of the classes, sorted.
    classes: Vec<String>,
    /// One label an image.
    labels: Vec<usize>,
    /// All images one after the other, each channel by channel.
    pixels: Vec<u8>,
    shape: [usize; 3],
}

impl ImageFolder {
    /// Reads one part of the set in the folder `path`: `train/CLASS/*` for training; `test/CLASS/*`, or the same in
    /// `val` or `validation`, for testing. Labels number the classes in the order of their names.
    ///
    /// Every file that ends with `.jpg`, `.jpeg` or `.png` (in small or capital letters) is read; other and hidden
    /// files are passed over. An image is resized so that its shorter side is `side` pixels, with linear interpolation
    /// that averages where it shrinks, and the middle `side` × `side` of it is kept; grey becomes three equal
    /// channels, transparency and the camera's orientation are ignored. Values are byte/255.
    ///
    /// # Errors
    ///
    /// Says what is wrong and with which file or folder: a part or its class folders are missing, the two parts have
    /// not the same classes, a class folder holds no image, an image is damaged, cut short or of another format, or
    /// the whole would take more than 4 GiB.
    pub fn open(path: &Path, split: Split, side: usize) -> Result<Self, DataError> {
        Self::open_within(path, split, side, MAX_BYTES)
    }

    /// Names of the classes, in the order of their labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    fn open_within(path: &Path, split: Split, side: usize, limit: u64) -> Result<Self, DataError> {
        let folders = matching_classes(path, split)?;
        let mut files = Vec::new();
        let mut labels = Vec::new();
        for (label, folder) in folders.values().enumerate() {
            files.extend(images_of(folder)?);
            labels.resize(files.len(), label);
        }
        let size = image_bytes(path, side, files.len(), limit)?;
        let mut pixels = vec![0; size * files.len()];
        let failed = pixels.par_chunks_exact_mut(size).zip(&files).filter_map(|(room, file)| load(file, room).err());
        // The first in the order of the files, so that the message does not depend on threads.
        if let Some(error) = failed.find_first(|_| true) {
            return Err(error);
        }
        Ok(Self { classes: folders.into_keys().collect(), labels, pixels, shape: [CHANNELS, side, side] })
    }
}

impl SampleSet for ImageFolder {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(self.labels[index])
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        let size = self.pixels.len() / self.labels.len();
        copy_bytes(&self.pixels[index * size..][..size], sample);
    }
}

impl fmt::Debug for ImageFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ImageFolder");
        shown.field("classes", &self.classes).field("shape", &self.shape).field("len", &self.len());
        shown.finish_non_exhaustive()
    }
}

/// The class folders of one part by name, after a check that the other part, if it is there, has the same.
fn matching_classes(path: &Path, split: Split) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let metadata = path.metadata().map_err(|error| DataError::io(path, &error, LAYOUT))?;
    if !metadata.is_dir() {
        return Err(DataError::new(path, format!("is not a folder; {LAYOUT}")));
    }
    let (wanted, other) = match split {
        Split::Training => (part(path, Split::Training), part(path, Split::Test)),
        Split::Test => (part(path, Split::Test), part(path, Split::Training)),
    };
    let Some(wanted) = wanted else {
        return Err(DataError::new(path, format!("this folder holds no {split} images; {LAYOUT}")));
    };
    let classes = classes_of(&wanted)?;
    let Some(other) = other else {
        return Ok(classes);
    };
    let others = classes_of(&other)?;
    let lacks = |folder: &Path, has: &Path, class: &str| {
        let name = has.file_name().unwrap_or_default().display();
        let message = format!("lacks the class {class}, which {name} has; both must have the same class folders");
        Err(DataError::new(folder, message))
    };
    if let Some(class) = classes.keys().find(|class| !others.contains_key(*class)) {
        return lacks(&other, &wanted, class);
    }
    if let Some(class) = others.keys().find(|class| !classes.contains_key(*class)) {
        return lacks(&wanted, &other, class);
    }
    Ok(classes)
}

/// The folder of one part, if it is there.
fn part(path: &Path, split: Split) -> Option<PathBuf> {
    let names: &[&str] = match split {
        Split::Training => &["train"],
        Split::Test => &["test", "val", "validation"],
    };
    names.iter().map(|name| path.join(name)).find(|path| path.is_dir())
}

/// The folders in `folder`, by name.
fn classes_of(folder: &Path) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let mut classes = BTreeMap::new();
    for path in visible(folder)? {
        if !path.is_dir() {
            continue;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(DataError::new(&path, "has a name that is not Unicode; rename this class folder"));
        };
        classes.insert(name.to_owned(), path);
    }
    if classes.is_empty() {
        return Err(DataError::new(folder, format!("this folder holds no class folder; {LAYOUT}")));
    }
    Ok(classes)
}

/// The images of one class, sorted by name.
fn images_of(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut images = visible(folder)?;
    images.retain(|path| {
        let end = path.extension().unwrap_or_default().to_ascii_lowercase();
        end == "jpg" || end == "jpeg" || end == "png"
    });
    if images.is_empty() {
        let message = "this class folder holds no image; expected files that end with .jpg, .jpeg or .png";
        return Err(DataError::new(folder, message));
    }
    images.sort();
    Ok(images)
}

/// What is in a folder, without hidden entries: some systems put those beside every image.
fn visible(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error: io::Error| DataError::io(folder, &error, "a folder");
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Bytes of one image at `side`, if `count` of them are at most `limit` bytes.
fn image_bytes(path: &Path, side: usize, count: usize, limit: u64) -> Result<usize, DataError> {
    if side == 0 {
        return Err(DataError::new(path, "cannot be resized to side 0; expected at least 1"));
    }
    let one = side.checked_mul(side).and_then(|area| area.checked_mul(CHANNELS));
    let all = one.and_then(|one| one.checked_mul(count)).map(|all| all as u64);
    match (one, all) {
        (Some(one), Some(all)) if all <= limit => Ok(one),
        _ => {
            let mebibyte = f64::from(1 << 20);
            // Rounded apart, so that the message never says that 6 is more than 6.
            let needed = ((CHANNELS * count) as f64 * (side as f64).powi(2) / mebibyte).ceil();
            let accepted = (limit as f64 / mebibyte).floor();
            let message = format!(
                "{count} images of side {side} take {needed} MiB, more than the {accepted} MiB accepted; \
                 choose a smaller side or fewer images"
            );
            Err(DataError::new(path, message))
        }
    }
}

/// Reads, resizes and crops one image into `room`, channel by channel.
fn load(path: &Path, room: &mut [u8]) -> Result<(), DataError> {
    let (file, size) = open_file(path, IMAGE)?;
    if size > MAX_FILE_BYTES {
        let message = format!("has {size} bytes, more than the {MAX_FILE_BYTES} accepted for one image");
        return Err(DataError::new(path, message));
    }
    let bytes = read_all(path, file, size, |error| DataError::io(path, error, IMAGE))?;
    let image = decode(&bytes).map_err(|message| DataError::new(path, message))?;
    let side = (room.len() / CHANNELS).isqrt();
    let image = fit(image, side as u32);
    for (channel, plane) in room.chunks_exact_mut(side * side).enumerate() {
        for (value, pixel) in plane.iter_mut().zip(image.pixels()) {
            *value = pixel[channel];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::folder_of;
    use super::decode::tests::{busy, encoded};
    use super::*;
    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
    use tempfile::TempDir;

    fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        encoded(&RgbImage::from_pixel(width, height, Rgb(colour)).into(), ImageFormat::Png)
    }

    /// Opens what must be refused, with `part` of the message and `at`, the end of its path.
    fn refused(folder: &TempDir, split: Split, at: &str, part: &str) {
        let error = ImageFolder::open(folder.path(), split, 4).unwrap_err();
        assert!(error.path.ends_with(at), "{at} not in {error}");
        assert!(error.message.contains(part), "{part:?} not in {error}");
    }

    fn copy(set: &ImageFolder, index: usize) -> Vec<f32> {
        let mut sample = vec![f32::NAN; set.shape().iter().product()];
        set.copy_into(index, &mut sample);
        sample
    }

    #[test]
    fn labels_number_the_classes_by_name() {
        let (red, green, blue) = (png(4, 4, [255, 0, 0]), png(6, 4, [0, 255, 0]), png(4, 9, [0, 0, 255]));
        let folder = folder_of(&[
            ("train/dog/b.png", &green),
            ("train/dog/a.PNG", &red),
            ("train/cat/z.png", &blue),
            ("train/cat/.z.png", b"hidden"),
            ("train/cat/notes.txt", b"passed over"),
            ("train/.cache/x", b""),
            ("train/list.csv", b""),
            ("val/cat/1.png", &red),
            ("val/dog/1.png", &blue),
        ]);
        let set = ImageFolder::open(folder.path(), Split::Training, 4).unwrap();
        assert_eq!((set.classes(), set.len(), set.shape()), (&["cat", "dog"].map(String::from)[..], 3, &[3, 4, 4][..]));
        assert_eq!([0, 1, 2].map(|index| set.label(index)), [Some(0), Some(1), Some(1)]);
        for (index, channel) in [(0, 2), (1, 0), (2, 1)] {
            let expected: Vec<f32> = (0..48).map(|i| if i / 16 == channel { 1.0 } else { 0.0 }).collect();
            assert_eq!(copy(&set, index), expected);
        }
        let test = ImageFolder::open(folder.path(), Split::Test, 4).unwrap();
        assert_eq!((test.len(), test.label(1)), (2, Some(1)));
        assert!(format!("{test:?}").len() < 100);
    }

    #[test]
    fn formats_and_colours_become_three_bytes() {
        let grey: DynamicImage = image::ImageBuffer::from_pixel(4, 4, image::Luma([0x8080u16])).into();
        let jpeg = encoded(&RgbImage::from_pixel(16, 16, Rgb([200, 100, 50])).into(), ImageFormat::Jpeg);
        let folder = folder_of(&[
            ("train/a/1.png", &encoded(&grey, ImageFormat::Png)),
            ("train/a/2.jpeg", &jpeg),
            ("train/a/3.JPG", &png(4, 4, [200, 100, 50])),
        ]);
        let set = ImageFolder::open(folder.path(), Split::Training, 4).unwrap();
        assert_eq!(copy(&set, 0), [128.0 / 255.0; 48]);
        let exact: Vec<f32> = [200.0f32, 100.0, 50.0].iter().flat_map(|value| [value / 255.0; 16]).collect();
        assert_eq!(copy(&set, 2), exact);
        assert!(copy(&set, 1).iter().zip(&exact).all(|(a, b)| (a - b).abs() < 0.03));
    }

    #[test]
    fn what_is_missing_is_told_the_layout() {
        let image = png(2, 2, [0; 3]);
        let folder = folder_of(&[("train/1.png", &image), ("other/a/1.png", &image)]);
        refused(&folder, Split::Training, "train", "no class folder; expected a folder train");
        refused(&folder, Split::Test, "", "no test images; expected a folder train");
        let error = ImageFolder::open(&folder.path().join("absent"), Split::Test, 4).unwrap_err();
        assert!(error.message.contains("does not exist") && error.message.contains("train/CLASS"), "{error}");
        let error = ImageFolder::open(&folder.path().join("train/1.png"), Split::Test, 4).unwrap_err();
        assert!(error.message.contains("is not a folder"), "{error}");
    }

    #[test]
    fn classes_must_be_full_and_the_same_in_both_parts() {
        let image = png(2, 2, [0; 3]);
        let empty = folder_of(&[("train/a/1.png", &image), ("train/b/notes.txt", b"")]);
        refused(&empty, Split::Training, "train/b", "class folder holds no image");
        let other = folder_of(&[("train/a/1.png", &image), ("test/a/1.png", &image), ("test/b/1.png", &image)]);
        for split in [Split::Training, Split::Test] {
            refused(&other, split, "train", "lacks the class b, which test has");
        }
    }

    #[test]
    fn damaged_images_are_refused_by_name() {
        let sound = png(2, 2, [0; 3]);
        for (name, bytes, part) in [
            ("2.png", &b""[..], "cut short"),
            ("2.jpg", &encoded(&busy(40, 30), ImageFormat::Jpeg)[..1000], "its end is missing"),
            ("2.png", &encoded(&busy(40, 30), ImageFormat::Png)[..1000], "cut short"),
            ("2.png", b"GIF89a", "not a JPEG or PNG image"),
        ] {
            let name = format!("train/a/{name}");
            let folder = folder_of(&[("train/a/1.png", &sound), (&name, bytes), ("train/a/3.png", b"later")]);
            refused(&folder, Split::Training, &name, part);
        }
        let folder = folder_of(&[("train/a/1.png/inside", b"")]);
        refused(&folder, Split::Training, "1.png", "is not a regular file");
    }

    #[test]
    fn a_set_that_takes_too_much_memory_is_refused_before_it_is_read() {
        let folder = folder_of(&[("train/a/1.png", b"not read"), ("train/a/2.png", b"nor this")]);
        let open = |side, limit| ImageFolder::open_within(folder.path(), Split::Training, side, limit).unwrap_err();
        let error = open(1024, (6 << 20) - 1);
        assert!(error.message.contains("2 images of side 1024 take 6 MiB, more than the 5 MiB accepted"), "{error}");
        assert!(open(1024, 6 << 20).path.ends_with("1.png"));
        assert!(open(usize::MAX, u64::MAX).message.contains("accepted; choose a smaller side"));
        assert!(open(0, u64::MAX).message.contains("side 0"));
    }
}
