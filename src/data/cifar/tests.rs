use super::super::tests::{folder_of, gzip};
use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::path::PathBuf;
use tempfile::TempDir;

/// Records whose labels count up from `first` and whose pixels all differ from their
/// neighbours and from the same pixels of the next record.
fn records(count: usize, first: u8) -> Vec<u8> {
    (0..count)
        .flat_map(|n| {
            let label = (first as usize + n) % 10;
            let pixels = (0..PIXELS).map(move |i| (i * 7 + i / 256 + n * 31) as u8);
            std::iter::once(label as u8).chain(pixels)
        })
        .collect()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A file of that name in a folder of its own.
fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = folder_of(&[(name, bytes)]);
    let path = folder.path().join(name);
    (folder, path)
}

fn archive_of(files: &[(&str, &[u8])]) -> (TempDir, PathBuf) {
    file("batches.tar.gz", &gzip(&tar_of(files)))
}

/// Opens what must be refused, with `parts` of the message and `at`, the end of its path.
fn refused(path: &Path, at: &str, parts: &[&str]) {
    let error = Cifar10::open(path).unwrap_err();
    assert!(error.path.ends_with(at), "{error}");
    for part in parts {
        assert!(error.message.contains(part), "{part:?} not in {error}");
    }
}

fn copy(set: &Cifar10, index: usize) -> Vec<f32> {
    let mut sample = vec![f32::NAN; PIXELS];
    set.copy_into(index, &mut sample);
    sample
}

/// Asserts that `set` is the records of `expected`, in that order.
fn assert_holds(set: &Cifar10, expected: &[u8]) {
    assert_eq!(set.len() * RECORD, expected.len());
    for (index, record) in expected.chunks(RECORD).enumerate() {
        assert_eq!(set.label(index), Some(record[0] as usize));
        let pixels: Vec<f32> = record[1..].iter().map(|&b| b as f32 / 255.0).collect();
        assert_eq!(copy(set, index), pixels);
    }
}

#[test]
fn a_folder_is_read_in_name_order_without_the_test_batch() {
    let (one, two, test) = (records(2, 3), records(3, 8), records(1, 5));
    let folder = folder_of(&[
        ("test_batch.bin", &test),
        ("data_batch_2.bin", &two),
        ("data_batch_1.bin", &one),
        ("batches.meta.txt", b"airplane"),
    ]);
    let set = Cifar10::open(folder.path()).unwrap();
    assert_eq!(set.batches(), ["data_batch_1.bin", "data_batch_2.bin"]);
    assert_eq!(set.shape(), [3, 32, 32]);
    assert_holds(&set, &[one, two].concat());
}

#[test]
fn an_archive_is_read_in_name_order_without_the_test_batch() {
    let (one, two, test) = (records(2, 3), records(3, 8), records(1, 5));
    let (_folder, path) = archive_of(&[
        ("cifar-10-batches-bin/data_batch_2.bin", &two),
        ("cifar-10-batches-bin/test_batch.bin", &test),
        ("cifar-10-batches-bin/data_batch_1.bin", &one),
    ]);
    let set = Cifar10::open(&path).unwrap();
    assert_eq!(set.batches(), ["data_batch_1.bin", "data_batch_2.bin"]);
    assert_holds(&set, &[one, two].concat());
}

#[test]
fn the_test_batch_serves_where_there_is_no_training_batch() {
    let test = records(2, 9);
    let folder = folder_of(&[("test_batch.bin", &test), ("readme.html", b"")]);
    let set = Cifar10::open(folder.path()).unwrap();
    assert_eq!(set.batches(), ["test_batch.bin"]);
    assert_holds(&set, &test);
    let tar = tar_of(&[("a/test_batch.bin", &test)]);
    let (_folder, path) = file("Batches.TGZ", &gzip(&tar));
    assert_holds(&Cifar10::open(&path).unwrap(), &test);
}

#[test]
fn a_part_is_read_by_itself() {
    let (one, four, test) = (records(2, 3), records(1, 8), records(3, 5));
    let files: [(&str, &[u8]); 3] =
        [("test_batch.bin", &test), ("data_batch_4.bin", &four), ("data_batch_1.bin", &one)];
    let (folder, (_archive, path)) = (folder_of(&files), archive_of(&files));
    for path in [folder.path(), &path] {
        let training = Cifar10::open_split(path, Split::Training).unwrap();
        assert_eq!(training.batches(), ["data_batch_1.bin", "data_batch_4.bin"]);
        assert_holds(&training, &[one.clone(), four.clone()].concat());
        assert_holds(&Cifar10::open_split(path, Split::Test).unwrap(), &test);
    }
}

#[test]
fn a_batch_may_come_alone_and_is_of_its_part() {
    let (four, test, mislabelled) = (records(2, 3), records(3, 5), [vec![10], records(1, 0)[1..].to_vec()].concat());
    let files: [(&str, &[u8]); 3] =
        [("data_batch_4.bin", &four), ("test_batch.bin", &test), ("data_batch_5.bin", &mislabelled)];
    let folder = folder_of(&files);
    let at = |name: &str| folder.path().join(name);
    for (name, records, split, other) in [
        ("data_batch_4.bin", &four, Split::Training, Split::Test),
        ("test_batch.bin", &test, Split::Test, Split::Training),
    ] {
        for set in [Cifar10::open(&at(name)).unwrap(), Cifar10::open_split(&at(name), split).unwrap()] {
            assert_holds(&set, records);
            assert_eq!((set.batches(), set.split()), (&[name.to_owned()][..], split));
        }
        let error = Cifar10::open_split(&at(name), other).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: is not a {other} batch", at(name).display()));
    }
    let error = Cifar10::open(&at("data_batch_5.bin")).unwrap_err();
    assert_eq!(error.path, at("data_batch_5.bin"));
}

#[test]
fn a_part_is_never_taken_for_the_other() {
    let one = records(1, 0);
    for (name, absent, part) in [
        ("data_batch_1.bin", Split::Test, "holds no test batch; expected data_batch_1.bin"),
        ("test_batch.bin", Split::Training, "holds no training batch; expected data_batch_1.bin"),
    ] {
        let (folder, (_archive, path)) = (folder_of(&[(name, &one)]), archive_of(&[(name, &one)]));
        for path in [folder.path(), &path] {
            let error = Cifar10::open_split(path, absent).unwrap_err();
            assert!(error.path == path && error.message.contains(part), "{error}");
        }
    }
}

#[test]
fn a_damaged_test_batch_that_is_not_needed_does_no_harm() {
    let one = records(1, 0);
    let files: [(&str, &[u8]); 2] = [("test_batch.bin", b"?"), ("data_batch_1.bin", &one)];
    let folder = folder_of(&files);
    assert_holds(&Cifar10::open(folder.path()).unwrap(), &one);
    let (_folder, path) = archive_of(&files);
    assert_holds(&Cifar10::open(&path).unwrap(), &one);
}

#[test]
fn values_span_zero_to_one() {
    let mut record = vec![7; RECORD];
    (record[1], record[2], record[PIXELS]) = (0, 255, 51);
    let folder = folder_of(&[("data_batch_1.bin", &record)]);
    let sample = copy(&Cifar10::open(folder.path()).unwrap(), 0);
    assert_eq!((sample[0], sample[1], sample[PIXELS - 1]), (0.0, 1.0, 0.2));
}

#[test]
#[should_panic(expected = "sample 2 of a set of 2 samples")]
fn an_index_past_the_end_is_refused() {
    let folder = folder_of(&[("data_batch_1.bin", &records(2, 0))]);
    Cifar10::open(folder.path()).unwrap().label(2);
}

#[test]
fn debug_output_leaves_out_the_pixels() {
    let folder = folder_of(&[("data_batch_1.bin", &records(2, 0))]);
    let shown = format!("{:?}", Cifar10::open(folder.path()).unwrap());
    assert!(shown.contains("data_batch_1.bin") && shown.len() < 100, "{shown}");
}

#[test]
fn paths_of_the_wrong_kind_are_refused() {
    let folder = folder_of(&[("batch.bin", &records(1, 0)), ("empty.tgz", b"")]);
    let at = |name: &str| folder.path().join(name);
    refused(&at("absent"), "absent", &["does not exist", ".tar.gz"]);
    refused(&at("absent.tgz"), "absent.tgz", &["does not exist"]);
    refused(&at("batch.bin"), "batch.bin", &["neither a folder"]);
    refused(&at("empty.tgz"), "empty.tgz", &["is empty"]);
}

#[test]
fn a_folder_or_an_archive_without_batches_is_told_the_layout() {
    let files: [(&str, &[u8]); 2] = [("data_batch_1", b"python"), ("other.bin", b"x")];
    let folder = folder_of(&files);
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    refused(folder.path(), name, &["folder holds no batch", "data_batch_1.bin"]);
    let (_folder, path) = archive_of(&files);
    refused(&path, "batches.tar.gz", &["archive holds no batch", "data_batch_1.bin"]);
}

#[test]
fn sizes_that_are_not_whole_records_are_refused() {
    let whole = records(2, 0);
    for (bytes, part) in [
        (&whole[..0], "is empty"),
        (&whole[..RECORD + 1], "not a multiple of 3073"),
        (&whole[..2 * RECORD - 1], "has 6145 bytes"),
    ] {
        let files: [(&str, &[u8]); 2] = [("data_batch_1.bin", &whole), ("data_batch_2.bin", bytes)];
        let folder = folder_of(&files);
        refused(folder.path(), "data_batch_2.bin", &[part]);
        let (_folder, path) = archive_of(&files);
        refused(&path, "batches.tar.gz/data_batch_2.bin", &[part]);
    }
}

#[test]
fn a_label_above_nine_is_refused_with_its_record() {
    let mut bytes = records(3, 0);
    bytes[2 * RECORD] = 10;
    let files: [(&str, &[u8]); 1] = [("data_batch_4.bin", &bytes)];
    let parts = ["record 3 of 3", "label 10"];
    let folder = folder_of(&files);
    refused(folder.path(), "data_batch_4.bin", &parts);
    let (_folder, path) = archive_of(&files);
    refused(&path, "batches.tar.gz/data_batch_4.bin", &parts);
}

#[test]
fn an_archive_with_a_batch_twice_is_refused() {
    let bytes = records(1, 0);
    let (_folder, path) = archive_of(&[("a/data_batch_1.bin", &bytes), ("b/data_batch_1.bin", &bytes)]);
    refused(&path, "data_batch_1.bin", &["twice"]);
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let whole = gzip(&tar_of(&[("data_batch_1.bin", &records(4, 0))]));
    for kept in (1..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let (_folder, path) = file("cut.tar.gz", &whole[..kept]);
        refused(&path, "cut.tar.gz", &["damaged, cut short"]);
    }
}

#[test]
fn a_member_cut_short_inside_a_sound_gzip_is_refused() {
    let tar = tar_of(&[("data_batch_1.bin", &records(4, 0))]);
    let (_folder, path) = file("cut.tar.gz", &gzip(&tar[..512 + 2 * RECORD]));
    let error = Cifar10::open(&path).unwrap_err();
    assert!(error.message.contains("cut short"), "{error}");
}

#[test]
fn a_batch_shorter_or_longer_than_claimed_is_refused() {
    let bytes = records(2, 0);
    let read = |size| {
        let failed = |error: &io::Error| panic!("{error}");
        read_records(Path::new("batch"), &bytes[..], size, failed)
    };
    assert_eq!(read(2 * RECORD as u64).unwrap(), bytes);
    for claimed in [1, 3] {
        let error = read(claimed * RECORD as u64).unwrap_err();
        assert!(error.message.contains("cut short or changed"), "{error}");
    }
}

#[test]
fn only_regular_members_are_batches() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "data_batch_1.bin", "/dev/zero").unwrap();
    let (_folder, path) = file("links.tgz", &gzip(&builder.into_inner().unwrap()));
    refused(&path, "links.tgz", &["holds no batch"]);
}

#[test]
fn an_archive_compressed_in_pieces_is_read_whole() {
    let bytes = records(2, 0);
    let tar = tar_of(&[("data_batch_1.bin", &bytes)]);
    let (first, second) = tar.split_at(4000);
    let (_folder, path) = file("pieces.tgz", &[gzip(first), gzip(second)].concat());
    assert_holds(&Cifar10::open(&path).unwrap(), &bytes);
}

#[test]
fn a_changed_pixel_is_found_by_the_checksum() {
    let tar = tar_of(&[("data_batch_1.bin", &records(2, 0))]);
    // Without compression the pixels are in the file as they are.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    io::Write::write_all(&mut encoder, &tar).unwrap();
    let mut bytes = encoder.finish().unwrap();
    bytes[3000] ^= 1;
    let (_folder, path) = file("changed.tar.gz", &bytes);
    refused(&path, "changed.tar.gz", &["damaged, cut short"]);
}

#[test]
fn a_file_that_is_no_archive_is_refused() {
    for bytes in [&b"not gzip at all"[..], &gzip(b"not tar"), &gzip(&[7; 2000])] {
        let (_folder, path) = file("text.tar.gz", bytes);
        refused(&path, "text.tar.gz", &["not a gzip-compressed tar archive"]);
    }
}

#[test]
fn a_member_claiming_an_absurd_size_is_refused_unread() {
    let mut header = tar::Header::new_gnu();
    header.set_path("data_batch_1.bin").unwrap();
    header.set_size((1 << 50) * RECORD as u64);
    header.set_cksum();
    let (_folder, path) = file("huge.tar.gz", &gzip(header.as_bytes()));
    refused(&path, "data_batch_1.bin", &["more than the 307300000 accepted"]);
}

#[test]
fn an_archive_that_unpacks_to_more_than_the_limit_is_refused() {
    let tar = tar_of(&[("data_batch_1.bin", &records(3, 0)), ("zeros", &[0; 9000])]);
    let (_folder, path) = file("bomb.tar.gz", &gzip(&tar));
    let size = tar.len() as u64;
    assert_eq!(read_archive(&path, None, size).unwrap().len(), 1);
    // Within the batch, within the other member, within the end marker.
    for limit in [2000, 12_000, size - 1] {
        let error = read_archive(&path, None, limit).err().unwrap();
        let part = format!("more than {limit} bytes");
        assert!(error.message.contains(&part), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_archive_content_panics(
        at in 0usize..4000, byte: u8, compressed: bool, kept in 0usize..8000,
    ) {
        let tar = tar_of(&[("x/data_batch_1.bin", &records(1, 0)), ("y", b"z")]);
        let mut bytes = if compressed { gzip(&tar) } else { tar };
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(kept.max(1));
        let bytes = if compressed { bytes } else { gzip(&bytes) };
        let (_folder, path) = file("a.tgz", &bytes);
        if let Ok(set) = Cifar10::open(&path) {
            prop_assert_eq!(set.len(), 1);
            prop_assert!(set.label(0).is_some_and(|label| label < 10));
        }
    }
}
