//! A model's weights as candle tensors that are views of one flat tensor, so that the optimizer is one pass over
//! contiguous memory and saving, loading and inspecting still see names and shapes.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage, Tensor};

use super::aligned;

/// What can go wrong with named weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name is missing from a file.
    #[error("weights lack {name} of shape {shape:?}; is this file of the same model and settings?")]
    Missing { name: String, shape: Vec<usize> },
    /// A tensor has another shape.
    #[error(
        "{name} has shape {found:?}, expected {expected:?}; is this file of the same model and settings?"
    )]
    Shape { name: String, found: Vec<usize>, expected: Vec<usize> },
    /// A name that the model does not have.
    #[error("{name} is not a weight of this model; is this file of the same model and settings?")]
    Unknown { name: String },
    /// A weight is NaN or infinite.
    #[error("{name} holds {value} at element {at}; the file is damaged or the training diverged")]
    NotFinite { name: String, at: usize, value: f32 },
    /// candle refused.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

/// Where a named tensor lies in the flat one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Name in files.
    pub name: String,
    /// Shape in files.
    pub shape: Vec<usize>,
    /// First element.
    pub offset: usize,
    /// Whether weight decay applies.
    pub decays: bool,
}

impl Slot {
    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its elements in the flat tensor.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// The order and place of a model's weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order of their offsets.
    pub slots: Vec<Slot>,
    /// Elements in all, gaps included.
    pub len: usize,
}

impl Plan {
    /// Append a tensor directly behind the last one.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize], decays: bool) -> std::ops::Range<usize> {
        let slot = Slot { name: name.into(), shape: shape.to_vec(), offset: self.len, decays };
        let range = slot.range();
        self.len = range.end;
        self.slots.push(slot);
        range
    }

    /// Leave a gap up to the next cache line.
    pub fn align(&mut self) {
        self.len = self.len.next_multiple_of(16);
    }

    /// The ranges to which weight decay applies, sorted and disjoint.
    #[must_use]
    pub fn decayed(&self) -> Vec<(usize, usize)> {
        let ranges = self.slots.iter().filter(|slot| slot.decays && !slot.is_empty());
        ranges.map(|slot| (slot.offset, slot.offset + slot.len())).collect()
    }
}

/// A flat f32 tensor on the CPU that begins on a cache line.
#[derive(Debug, Clone)]
pub struct Flat(Tensor);

impl Flat {
    /// `len` zeros.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn zeros(len: usize) -> Result<Self, Error> {
        let whole = Tensor::from_vec(vec![0f32; len + 16], len + 16, &Device::Cpu)?;
        let (storage, _) = whole.storage_and_layout();
        let start = match &*storage {
            Storage::Cpu(CpuStorage::F32(data)) => aligned::offset(data.as_ptr()),
            _ => 0,
        };
        drop(storage);
        Ok(Self(whole.narrow(0, start, len)?))
    }

    /// The tensor itself; views share its memory.
    #[must_use]
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// Read the elements.
    ///
    /// # Panics
    /// Never: a `Flat` is f32 on the CPU and contiguous.
    pub fn read<R>(&self, f: impl FnOnce(&[f32]) -> R) -> R {
        let (storage, layout) = self.0.storage_and_layout();
        let Storage::Cpu(CpuStorage::F32(data)) = &*storage else {
            unreachable!("a flat tensor is f32 on the CPU")
        };
        f(&data[layout.start_offset()..][..layout.shape().elem_count()])
    }

    /// Change the elements in place, through candle's in-place operation.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn write<R>(&self, f: impl FnOnce(&mut [f32]) -> R) -> Result<R, Error> {
        let edit = Edit(std::cell::RefCell::new((Some(f), None)));
        self.0.inplace_op1(&edit)?;
        Ok(edit.0.into_inner().1.expect("candle ran the operation"))
    }
}

/// A closure as an in-place operation.
struct Edit<F, R>(std::cell::RefCell<(Option<F>, Option<R>)>);

impl<R, F: FnOnce(&mut [f32]) -> R> InplaceOp1 for Edit<F, R> {
    fn name(&self) -> &'static str {
        "edit"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let CpuStorage::F32(data) = storage else { candle_core::bail!("a flat tensor is f32 on the CPU") };
        let part = &mut data[layout.start_offset()..][..layout.shape().elem_count()];
        let mut cell = self.0.borrow_mut();
        let Some(f) = cell.0.take() else { candle_core::bail!("the operation ran twice") };
        cell.1 = Some(f(part));
        Ok(())
    }
}

/// A model's weights.
#[derive(Debug, Clone)]
pub struct Params {
    /// Names, shapes, places.
    pub plan: Plan,
    /// The weights themselves.
    pub flat: Flat,
}

impl Params {
    /// All zero.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn zeros(plan: Plan) -> Result<Self, Error> {
        let flat = Flat::zeros(plan.len)?;
        Ok(Self { plan, flat })
    }

    /// Named views; they share memory with the flat tensor.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn named(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let view = |slot: &Slot| -> Result<_, Error> {
            let tensor =
                self.flat.tensor().narrow(0, slot.offset, slot.len())?.reshape(slot.shape.as_slice())?;
            Ok((slot.name.clone(), tensor))
        };
        self.plan.slots.iter().map(view).collect()
    }

    /// The weights as a safetensors file.
    ///
    /// # Errors
    /// When candle or safetensors refuses.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, Error> {
        let named = self.named()?;
        safetensors::serialize(&named, None).map_err(|e| Error::Candle(e.into()))
    }

    /// Take every weight from named tensors of the same names and shapes.
    ///
    /// # Errors
    /// When a name is missing or unknown, a shape differs or a weight is not finite; then nothing has changed.
    pub fn assign(&self, named: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        if let Some(name) = named.keys().find(|name| !self.plan.slots.iter().any(|slot| slot.name == **name))
        {
            return Err(Error::Unknown { name: name.clone() });
        }
        let mut values = Vec::with_capacity(self.plan.slots.len());
        for slot in &self.plan.slots {
            let tensor = named
                .get(&slot.name)
                .ok_or_else(|| Error::Missing { name: slot.name.clone(), shape: slot.shape.clone() })?;
            if tensor.dims() != slot.shape {
                let (found, expected) = (tensor.dims().to_vec(), slot.shape.clone());
                return Err(Error::Shape { name: slot.name.clone(), found, expected });
            }
            let flat: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
            if let Some(at) = flat.iter().position(|x| !x.is_finite()) {
                return Err(Error::NotFinite { name: slot.name.clone(), at, value: flat[at] });
            }
            values.push(flat);
        }
        self.flat.write(|all| {
            for (slot, values) in self.plan.slots.iter().zip(&values) {
                all[slot.range()].copy_from_slice(values);
            }
        })
    }

    /// Take every weight from the bytes of a safetensors file.
    ///
    /// # Errors
    /// As [`Params::assign`], and when the bytes are not a safetensors file.
    pub fn assign_safetensors(&self, bytes: &[u8]) -> Result<(), Error> {
        let named = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
        self.assign(&named.into_iter().collect())
    }
}
