//! Lines in a coordinate system, as SVG.

use std::path::Path;

use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 420);

/// A plot of some series of points.
pub struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<(String, Vec<(f64, f64)>)>,
}

/// One of the two axes.
pub struct Axis {
    /// What is on it, with its unit.
    pub label: &'static str,
    /// Whether equal ratios are equal lengths; then no value may be zero.
    pub logarithmic: bool,
}

impl Axis {
    /// One on which equal differences are equal lengths.
    pub fn linear(label: &'static str) -> Axis {
        Axis {
            label,
            logarithmic: false,
        }
    }

    /// One on which equal ratios are equal lengths.
    pub fn logarithmic(label: &'static str) -> Axis {
        Axis {
            label,
            logarithmic: true,
        }
    }

    /// The coordinate of `value`.
    fn place(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => value.max(f64::MIN_POSITIVE).log10(),
            false => value,
        }
    }

    /// The text at `place`.
    fn text(&self, place: f64) -> String {
        let value = match self.logarithmic {
            true => 10_f64.powf(place),
            false => place,
        };
        match value.abs() {
            v if v >= 1e6 => format!("{:.1}M", value / 1e6),
            v if v >= 1e4 => format!("{:.0}k", value / 1e3),
            v if v >= 10.0 || v == 0.0 => format!("{value:.0}"),
            _ => format!("{value:.2}"),
        }
    }

    /// The range that shows all of `values`, which for lengths begins at zero.
    fn range(&self, values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
        let places: Vec<f64> = values.map(|value| self.place(value)).collect();
        let low = places.iter().copied().fold(f64::INFINITY, f64::min);
        let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self.logarithmic {
            true => low - 0.05..high + 0.15,
            false => low.min(0.0)..high * 1.08 + f64::EPSILON,
        }
    }
}

impl Plot {
    /// A plot without series.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Plot {
        Plot {
            title: title.into(),
            x,
            y,
            series: Vec::new(),
        }
    }

    /// Adds a line through `points`.
    pub fn line(&mut self, name: impl Into<String>, points: Vec<(f64, f64)>) {
        self.series.push((name.into(), points));
    }

    /// What it shows.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Draws it into the file at `path`.
    pub fn draw(&self, path: &Path) {
        self.try_draw(path).expect("the plot can be drawn");
    }

    fn try_draw(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(&self.title, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(38)
            .y_label_area_size(62)
            .build_cartesian_2d(
                self.x.range(points().map(|point| point.0)),
                self.y.range(points().map(|point| point.1)),
            )?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .x_label_formatter(&|place| self.x.text(*place))
            .y_label_formatter(&|place| self.y.text(*place))
            .draw()?;
        for (number, (name, points)) in self.series.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let placed = points
                .iter()
                .map(|(x, y)| (self.x.place(*x), self.y.place(*y)));
            let line = LineSeries::new(placed, color.stroke_width(2)).point_size(3);
            chart
                .draw_series(line)?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
        Ok(())
    }
}
