//! Moving elements about: axes in another order, parts cut out, edges put on. Axes are those of a row: 0 is the
//! first behind the rows.

use super::build::{Attr, GraphBuilder, Value, signed};

impl GraphBuilder {
    /// The axes in this order: axis `order[i]` comes to place `i`. Every axis is named once.
    pub fn transpose(&mut self, value: &Value, order: &[usize]) -> Value {
        let size = |axis: &usize| value.shape.get(*axis).copied().unwrap_or(1);
        let shape: Vec<usize> = order.iter().map(size).collect();
        // What moves past axes of one element only stays where it is in memory.
        let moving = order.iter().filter(|axis| size(axis) != 1);
        if moving.is_sorted() {
            let mut moved = self.reshape(value, &shape);
            moved.labels = None;
            return moved;
        }
        let perm = std::iter::once(0)
            .chain(order.iter().map(|axis| signed(axis + 1)))
            .collect();
        let name = self.node(
            "Transpose",
            &[&value.name],
            vec![("perm", Attr::Ints(perm))],
        );
        Value::new(name, value.dtype, shape)
    }

    /// `size` elements from `start` on along each of `axes`; all others whole.
    pub fn crop(
        &mut self,
        value: &Value,
        axes: &[usize],
        start: &[usize],
        size: &[usize],
    ) -> Value {
        let mut shape = value.shape.clone();
        for (axis, size) in axes.iter().zip(size) {
            if let Some(place) = shape.get_mut(*axis) {
                *place = *size;
            }
        }
        if shape == value.shape {
            return value.clone();
        }
        let numbers = |all: &[usize]| all.iter().map(|number| signed(*number)).collect::<Vec<_>>();
        let ends: Vec<usize> = start
            .iter()
            .zip(size)
            .map(|(start, size)| start + size)
            .collect();
        let axes: Vec<usize> = axes.iter().map(|axis| axis + 1).collect();
        let (starts, ends) = (self.ints(&numbers(start)), self.ints(&numbers(&ends)));
        let axes = self.ints(&numbers(&axes));
        let name = self.node("Slice", &[&value.name, &starts, &ends, &axes], Vec::new());
        Value::new(name, value.dtype, shape)
    }

    /// So many elements more before and after, for each axis of the row; all of them `fill`, or with `None` the
    /// row's own, mirrored at the edge without repeating the edge itself.
    pub fn pad(
        &mut self,
        value: &Value,
        before: &[usize],
        after: &[usize],
        fill: Option<f64>,
    ) -> Value {
        if before.iter().chain(after).all(|size| *size == 0) {
            return value.clone();
        }
        let pads: Vec<i64> = std::iter::once(&0)
            .chain(before)
            .chain(std::iter::once(&0))
            .chain(after)
            .map(|size| signed(*size))
            .collect();
        let pads = self.ints(&pads);
        let name = if let Some(fill) = fill {
            let fill = self.number(value.dtype, fill);
            self.node("Pad", &[&value.name, &pads, &fill], Vec::new())
        } else {
            let mode = vec![("mode", Attr::Text("reflect".to_owned()))];
            self.node("Pad", &[&value.name, &pads], mode)
        };
        let shape = (value.shape.iter().zip(before.iter().zip(after)))
            .map(|(size, (before, after))| size + before + after)
            .collect();
        Value::new(name, value.dtype, shape)
    }

    /// What lies at `indices` along `axis`; the axis becomes those of `dims`, whose product is their number.
    pub fn pick(&mut self, value: &Value, axis: usize, dims: &[usize], indices: &[usize]) -> Value {
        let numbers: Vec<i64> = indices.iter().map(|index| signed(*index)).collect();
        let indices = self.constant(super::build::ints_tensor(dims, &numbers));
        let axis_attribute = vec![("axis", Attr::Int(signed(axis + 1)))];
        let name = self.node("Gather", &[&value.name, &indices], axis_attribute);
        let mut shape = value.shape.clone();
        shape.splice(axis..=axis, dims.iter().copied());
        Value::new(name, value.dtype, shape)
    }
}
