use super::*;
use ndarray_rand::rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn run(conv: &Conv, input: [usize; 3], weights: &[f64], image: &[f64]) -> Vec<f64> {
    let input = Shape::new(input).unwrap();
    let output = conv.output_shape(&input).unwrap();
    let mut values = vec![0.0; output.len()];
    let pass = Pass { site: Site { input: &input, output: &output }, batch: 1, parameters: weights };
    conv.forward(pass, image, &mut values, &mut Scratch::default());
    values
}

#[test]
fn a_small_convolution_has_the_values_computed_by_hand() {
    let conv = |mode| Conv { channels: 1, window: Window { padding: 1, mode, ..Window::new(3, 2) }, bias: true };
    let image: Vec<f64> = (1..=9).map(f64::from).collect();
    // The sum of the 3 × 3 window around each corner of the image 1 … 9, plus ½.
    let parameters = [[1.0; 9].as_slice(), &[0.5]].concat();
    let values = |mode| run(&conv(mode), [1, 3, 3], &parameters, &image);
    assert_eq!(values(PaddingMode::Zeros), [12.5, 16.5, 24.5, 28.5]);
    assert_eq!(values(PaddingMode::Circular), [45.5; 4]);
    assert_eq!(values(PaddingMode::Reflect), [33.5, 39.5, 51.5, 57.5]);
}

#[test]
fn dilation_channels_and_rectangles_are_in_their_places() {
    let conv = Conv { channels: 2, window: Window { dilation: 2, ..Window::new(2, 1) }, bias: false };
    // Two channels in; the first kernel takes the lower right tap of channel 1, the second the upper left of both.
    let mut weights = vec![0.0; 16];
    (weights[7], weights[8], weights[12]) = (1.0, 1.0, 1.0);
    let image: Vec<f64> = (0..24).map(f64::from).collect();
    let values = run(&conv, [2, 3, 4], &weights, &image);
    assert_eq!(values, [22.0, 23.0, 12.0, 14.0]);
}

/// Both passes of random convolutions against their definition, Σ over all edges.
fn random_convolutions_agree_with_the_definition<T: Real>(tolerance: f64, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut tried = 0;
    while tried < 60 {
        let window = Window {
            size: rng.random_range(1..5),
            stride: rng.random_range(1..5),
            dilation: rng.random_range(1..4),
            padding: rng.random_range(0..4),
            mode: [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular][rng.random_range(0..3)],
        };
        let conv = Conv { channels: rng.random_range(1..40), window, bias: rng.random() };
        let width = [rng.random_range(1..8), rng.random_range(14..19), rng.random_range(30..35)];
        let sizes = [rng.random_range(1..12), rng.random_range(1..20), width[rng.random_range(0..3)]];
        let input = Shape::new(sizes).unwrap();
        if conv.output_shape(&input).is_ok() {
            tried += 1;
            agrees_with_the_definition::<T>(&conv, &input, tolerance, &mut rng);
        }
    }
}

/// Both passes, with and without a ReLU, against their definition.
fn agrees_with_the_definition<T: Real>(conv: &Conv, input: &Shape, tolerance: f64, rng: &mut ChaCha8Rng) {
    let output = conv.output_shape(input).unwrap();
    let site = Site { input, output: &output };
    let mut values = |count: usize| -> Vec<T> {
        (0..count).map(|_| T::from_f64(f64::from(rng.random_range(-1.0f32..1.0)))).collect()
    };
    let parameters = values(conv.tensors(input).iter().map(|tensor| tensor.sizes.iter().product::<usize>()).sum());
    let (batch, mut scratch) = (3, Scratch::default());
    let (image, upstream) = (values(batch * input.len()), values(batch * output.len()));
    let pass = Pass { site, batch, parameters: &parameters };
    // Left from another layer, which must not matter.
    for memory in [&mut scratch.image, &mut scratch.residues] {
        memory.resize(40_000, T::nan());
    }
    let (mut maps, mut gradient) = (vec![T::nan(); upstream.len()], vec![T::nan(); image.len()]);
    conv.forward(pass, &image, &mut maps, &mut scratch);
    conv.backward(pass, &image, &upstream, &mut gradient, &mut scratch);
    let (mut rectified, mut masked) = (vec![T::nan(); maps.len()], vec![T::nan(); gradient.len()]);
    conv.forward_relu(pass, &image, &mut rectified, &mut scratch);
    conv.backward_relu(pass, &image, &upstream, &mut masked, &mut scratch);
    for (&relu, &value) in rectified.iter().zip(&maps) {
        assert!(relu == if value > T::zero() { value } else { T::zero() }, "{conv:?} {input}");
    }
    for ((&masked, &value), &z) in masked.iter().zip(&gradient).zip(&image) {
        assert!(masked == if z > T::zero() { value } else { T::zero() }, "{conv:?} {input}");
    }

    let (mut sums, mut below) = (vec![0.0; maps.len()], vec![0.0; gradient.len()]);
    if conv.bias {
        let biases = &parameters[parameters.len() - conv.channels..];
        let pixels = output.len() / conv.channels;
        sums.iter_mut().enumerate().for_each(|(unit, sum)| *sum = biases[unit / pixels % conv.channels].as_f64());
    }
    conv.for_each_edge(site, |from, to, weight| {
        for sample in 0..batch {
            let (from, to) = (sample * input.len() + from, sample * output.len() + to);
            sums[to] += parameters[weight].as_f64() * image[from].as_f64();
            below[from] += parameters[weight].as_f64() * upstream[to].as_f64();
        }
    });
    for (value, expected) in maps.iter().zip(&sums).chain(gradient.iter().zip(&below)) {
        let value = value.as_f64();
        assert!((value - expected).abs() <= tolerance * (1.0 + expected.abs()), "{value} {expected} {conv:?} {input}");
    }
    let used = scratch.image.len() + scratch.residues.len() - 80_000;
    let used = used + scratch.points.len() + scratch.kernels.len();
    assert!(used <= conv.scratch_count(site), "{conv:?} {input}");
}

#[test]
fn both_passes_are_what_they_are_defined_to_be() {
    for seed in 0..5 {
        random_convolutions_agree_with_the_definition::<f64>(1e-12, seed);
        random_convolutions_agree_with_the_definition::<f32>(2e-4, seed);
    }
}

/// Layouts of whole rows and of every other pixel have ways of their own.
#[test]
fn images_that_fill_registers_are_laid_out_alike() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for width in [8, 16, 32, 48] {
        for (size, stride, dilation, padding) in [(3, 1, 1, 1), (3, 2, 1, 1), (2, 2, 1, 0), (1, 2, 1, 0), (3, 1, 9, 9)]
        {
            let window = Window { size, stride, dilation, padding, mode: PaddingMode::Zeros };
            let conv = Conv { channels: 9, window, bias: true };
            let input = Shape::new([2, 11, width]).unwrap();
            agrees_with_the_definition::<f64>(&conv, &input, 1e-12, &mut rng);
            agrees_with_the_definition::<f32>(&conv, &input, 2e-4, &mut rng);
        }
    }
}

#[test]
fn fewer_multiplications_give_the_same() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (mode, padding) in
        [(PaddingMode::Zeros, 1), (PaddingMode::Zeros, 0), (PaddingMode::Circular, 2), (PaddingMode::Reflect, 1)]
    {
        for sizes in [[16, 36, 37], [19, 129, 12], [17, 35, 67]] {
            let conv = Conv { channels: 18, window: Window { padding, mode, ..Window::new(3, 1) }, bias: padding == 1 };
            let input = Shape::new(sizes).unwrap();
            let output = conv.output_shape(&input).unwrap();
            assert!(conv.is_fast(Site { input: &input, output: &output }));
            agrees_with_the_definition::<f64>(&conv, &input, 1e-12, &mut rng);
            agrees_with_the_definition::<f32>(&conv, &input, 2e-5, &mut rng);
        }
    }
}
