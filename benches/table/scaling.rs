//! How a draw's cost grows: with threads, and with dimension, width, depth and resolution, as fitted exponents.

use gradlaw::figure::{self, Axis, Curve, Figure, Form, Page, Point, Scale};
use gradlaw::network::{Architecture, WeightDistribution};
use gradlaw::statistics::{Fit, WeightedPoint};

use crate::cases::{Case, activated, convolutional, dense};
use crate::clock::{Rate, rate};
use crate::{Options, digits, measure};

/// A family of networks along one size.
struct Family {
    name: &'static str,
    sizes: &'static [usize],
    network: fn(usize) -> Architecture,
    by: By,
}

/// The sampler.
#[derive(Clone, Copy)]
enum By {
    Explicit,
    Conditioned,
    Collapsed,
}

const FAMILIES: [Family; 6] = [
    Family {
        name: "dimension d, three of 256",
        sizes: &[1024, 2048, 4096, 8192, 16_384, 32_768, 65_536],
        network: |d| dense(d, &[256; 3]),
        by: By::Explicit,
    },
    Family {
        name: "width, three of d = 784",
        sizes: &[256, 512, 1024, 2048, 4096],
        network: |width| dense(784, &[width; 3]),
        by: By::Explicit,
    },
    Family {
        name: "depth, of 256, d = 256",
        sizes: &[4, 8, 16, 32, 64],
        network: |depth| dense(256, &vec![256; depth]),
        by: By::Explicit,
    },
    Family { name: "side, convolutions", sizes: &[16, 32, 64, 128], network: convolutional, by: By::Explicit },
    Family {
        name: "width, conditioned, tanh",
        sizes: &[1024, 4096, 16_384, 65_536],
        network: |width| activated(784, &[width; 3], false),
        by: By::Conditioned,
    },
    Family {
        name: "dimension d, collapsed",
        sizes: &[1024, 4096, 16_384, 65_536, 262_144],
        network: |d| dense(d, &[256; 3]),
        by: By::Collapsed,
    },
];

/// Prints both tables, and draws the figure where one is asked for.
pub fn print(options: &Options, threads: usize) {
    println!("| threads | draws/s, 784; 256, 256, 256 | efficiency by clock | by processor time |");
    println!("|---|---|---|---|");
    let case =
        |architecture| Case { name: String::new(), architecture, weights: WeightDistribution::Normal, peer: None };
    let sampler = case(dense(784, &[256; 3])).sampler();
    let better = |a: Rate, b: Rate| Rate {
        draws_per_second: a.draws_per_second.max(b.draws_per_second),
        by_clock: a.by_clock.max(b.by_clock),
        ..a
    };
    let (mut one, mut all): (Option<Rate>, Option<Rate>) = (None, None);
    for _ in 0..2 * options.rounds() {
        for (threads, best) in [(1, &mut one), (threads, &mut all)] {
            let rate = rate(&sampler, threads, options.seconds());
            *best = Some(best.map_or(rate, |before| better(before, rate)));
        }
    }
    // Processor time of one thread is that thread's; of several, all of theirs.
    if let (Some(one), Some(all)) = (one, all) {
        let ideal = threads as f64;
        let (clock, processor) = (all.by_clock / one.by_clock, all.draws_per_second / one.draws_per_second);
        println!("| 1 | {} | | |", digits(one.draws_per_second));
        println!(
            "| {threads} | {} | {:.1} % | {:.1} % |",
            digits(all.draws_per_second),
            100.0 * clock / ideal,
            100.0 * processor / ideal
        );
    }

    println!("\n| cost of a draw against | exponent |");
    println!("|---|---|");
    let mut curves = Vec::new();
    for family in &FAMILIES {
        let sizes = if options.quick { &family.sizes[..3] } else { family.sizes };
        let mut points = Vec::new();
        for &size in sizes {
            let case = case((family.network)(size));
            let rate = match family.by {
                By::Explicit => measure(&case.sampler(), threads, options),
                By::Conditioned => measure(&case.conditioned(), threads, options),
                By::Collapsed => measure(&case.collapsed(&["loss.l1"]), threads, options),
            };
            points.push((size as f64, 1e6 / rate.draws_per_second));
        }
        // One relative error for all, so that the fit is the plain one and its error comes from the scatter.
        let weighted =
            |&(x, y): &(f64, f64)| WeightedPoint { x: x.ln(), y: y.ln(), std_error: 0.02, degrees: f64::INFINITY };
        let weighted: Vec<WeightedPoint> = points.iter().map(weighted).collect();
        let Some(fit) = Fit::line(&weighted) else { continue };
        println!("| {} | {:.3} |", family.name, fit.estimate);
        curves.push(curve(family.name, &points, fit.estimate));
    }
    if let Some(folder) = &options.figure {
        let figure = figure(curves);
        let written = figure::write(&figure, &Page::default(), &[Form::Svg, Form::Png], folder, "scaling");
        if let Err(error) = written {
            eprintln!("{error}");
        }
    }
}

fn curve(name: &str, points: &[(f64, f64)], slope: f64) -> Curve {
    let point = |&(x, y): &(f64, f64)| Point { x, mean: y, std_error: 0.0, q10: y, median: y, q90: y };
    Curve {
        label: name.to_owned(),
        annotation: format!("slope {slope:.2}"),
        points: points.iter().map(point).collect(),
        theory: Vec::new(),
        guides: Vec::new(),
    }
}

fn figure(curves: Vec<Curve>) -> Figure {
    Figure {
        title: "Cost of a draw".into(),
        subtitle: "processor time of all threads, best of several rounds".into(),
        x: Axis { label: "size".into(), scale: Scale::Log2, marks: Vec::new() },
        y: Axis { label: "µs a draw".into(), scale: Scale::Log10, marks: Vec::new() },
        curves,
        ratio: None,
        footnote: String::new(),
    }
}
