//! Training of all weights, for small models: one flat vector of weights, one of gradients.

use std::ops::Range;

use super::batch::Batch;
use super::forward::Pass;
use super::view::{LayerView, Linear, Norm, View, site};
use super::workspace::{Keep, Output, Workspace};
use crate::backbone::adapter::{TARGETS, module, name, sizes};
use crate::backbone::{Layer, ModelConfig, Projection, Weights};
use crate::experiment::LoraTarget;
use crate::nn::cross_entropy::{self, Inputs};
use crate::nn::matmul::{Dense, Matrix, Precision};
use crate::nn::ops::decoder::Cpu;
use crate::nn::params::Plan;
use crate::nn::quant::{Frozen, Storage};
use crate::nn::rows;

/// A model whose weights are one flat vector of f32, all of which can learn.
#[derive(Debug, Clone)]
pub struct FullModel {
    config: ModelConfig,
    plan: Plan,
    places: Places,
    /// All weights, laid out by [`FullModel::plan`].
    pub weights: Vec<f32>,
    /// What the inputs of the layers' products are rounded to; the output layer and all gradients of weights are f32.
    pub precision: Precision,
}

/// Where the weights lie.
#[derive(Debug, Clone, Default)]
struct Places {
    embed: Range<usize>,
    layers: Vec<LayerPlaces>,
    norm: Range<usize>,
    /// The embedding's, where the two are tied.
    head: Range<usize>,
}

#[derive(Debug, Clone, Default)]
struct LayerPlaces {
    input_norm: Range<usize>,
    post_norm: Range<usize>,
    head_norms: Option<(Range<usize>, Range<usize>)>,
    projections: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl FullModel {
    /// All weights zero. Names are those of Hugging Face; matrices decay, norms and biases do not.
    #[must_use]
    pub fn zeros(config: &ModelConfig) -> Self {
        let (mut plan, mut places) = (Plan::default(), Places::default());
        let d = config.hidden;
        places.embed = plan.push("model.embed_tokens.weight", &[config.vocab, d], true);
        for index in 0..config.layers {
            let before = format!("model.layers.{index}");
            let mut norm =
                |part: &str, width: usize| plan.push(format!("{before}.{part}.weight"), &[width], false);
            let mut layer = LayerPlaces {
                input_norm: norm("input_layernorm", d),
                post_norm: norm("post_attention_layernorm", d),
                ..LayerPlaces::default()
            };
            if config.qk_norm {
                let width = config.head_dim;
                layer.head_norms = Some((norm("self_attn.q_norm", width), norm("self_attn.k_norm", width)));
            }
            for target in TARGETS {
                let before = format!("{before}.{}.{}", module(target), name(target));
                let (outputs, inputs) = sizes(target, config);
                let weight = plan.push(format!("{before}.weight"), &[outputs, inputs], true);
                let biased = config.qkv_bias && site(target) < 3;
                let bias = biased.then(|| plan.push(format!("{before}.bias"), &[outputs], false));
                layer.projections.push((weight, bias));
            }
            places.layers.push(layer);
        }
        places.norm = plan.push("model.norm.weight", &[d], false);
        places.head = if config.tied {
            places.embed.clone()
        } else {
            plan.push("lm_head.weight", &[config.vocab, d], true)
        };
        let weights = vec![0.0; plan.len];
        Self { config: config.clone(), plan, places, weights, precision: Precision::F32 }
    }

    /// A copy of `weights`, dequantized where they are quantized.
    #[must_use]
    pub fn from_weights(weights: &Weights) -> Self {
        let mut model = Self::zeros(&weights.config);
        let (to, places) = (&mut model.weights, &model.places);
        let mut matrix = |from: &dyn Matrix, place: &Range<usize>| {
            from.read(0, from.rows(), 0, from.cols(), &mut to[place.clone()], from.cols());
        };
        matrix(&weights.embed, &places.embed);
        if let Some(head) = &weights.head {
            matrix(head, &places.head);
        }
        for (layer, places) in weights.layers.iter().zip(&places.layers) {
            for (projection, (place, _)) in layer.projections().into_iter().zip(&places.projections) {
                matrix(&projection.weight, place);
            }
        }
        let mut vector = |from: &[f32], place: &Range<usize>| to[place.clone()].copy_from_slice(from);
        vector(&weights.norm, &places.norm);
        for (layer, places) in weights.layers.iter().zip(&places.layers) {
            vector(&layer.input_norm, &places.input_norm);
            vector(&layer.post_norm, &places.post_norm);
            if let (Some(q), Some(k), Some(places)) = (&layer.q_norm, &layer.k_norm, &places.head_norms) {
                vector(q, &places.0);
                vector(k, &places.1);
            }
            for (projection, (_, place)) in layer.projections().into_iter().zip(&places.projections) {
                if let (Some(bias), Some(place)) = (&projection.bias, place) {
                    vector(bias, place);
                }
            }
        }
        model
    }

    /// A copy as the weights of a frozen backbone, in f32.
    #[must_use]
    pub fn to_weights(&self) -> Weights {
        let vector = |place: &Range<usize>| self.weights[place.clone()].to_vec();
        let matrix = |place: &Range<usize>, rows: usize, cols: usize| {
            Frozen::quantize(Storage::F32, rows, cols, &self.weights[place.clone()])
        };
        let (v, d) = (self.config.vocab, self.config.hidden);
        let layers = self.places.layers.iter().map(|places| {
            let projection = |target: LoraTarget| {
                let ((rows, cols), (weight, bias)) =
                    (sizes(target, &self.config), &places.projections[site(target)]);
                Projection { weight: matrix(weight, rows, cols), bias: bias.as_ref().map(vector) }
            };
            Layer {
                input_norm: vector(&places.input_norm),
                q: projection(LoraTarget::QProj),
                k: projection(LoraTarget::KProj),
                v: projection(LoraTarget::VProj),
                o: projection(LoraTarget::OProj),
                q_norm: places.head_norms.as_ref().map(|norms| vector(&norms.0)),
                k_norm: places.head_norms.as_ref().map(|norms| vector(&norms.1)),
                post_norm: vector(&places.post_norm),
                gate: projection(LoraTarget::GateProj),
                up: projection(LoraTarget::UpProj),
                down: projection(LoraTarget::DownProj),
            }
        });
        Weights {
            config: self.config.clone(),
            embed: matrix(&self.places.embed, v, d),
            layers: layers.collect(),
            norm: vector(&self.places.norm),
            head: (!self.config.tied).then(|| matrix(&self.places.head, v, d)),
        }
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Names, shapes and places of the weights, and which of them decay; gradients have the same places.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The sum of the cross-entropies of the labels, divided by `divisor`; its gradient is added to `gradients`. Rows without a
    /// label are context only.
    ///
    /// `# Shapes: labels (wanted), gradients as the weights`
    ///
    /// # Panics
    /// When the batch does not fit the model, or labels and gradients do not fit the batch and the weights.
    pub fn loss_and_gradients(
        &self,
        batch: &Batch,
        labels: &[Option<u32>],
        divisor: usize,
        gradients: &mut [f32],
        workspace: &mut Workspace,
    ) -> f64 {
        assert_eq!(labels.len(), batch.wanted().len(), "labels of the wanted rows");
        assert_eq!(gradients.len(), self.weights.len(), "gradients of all weights");
        let matrices = self.matrices();
        let view = self.view(&matrices);
        let pass = Pass::new(&view, batch);
        workspace.ops.precision = self.precision;
        let Ok(()) = pass.forward(Keep::Everything, workspace);
        let loss = self.output(labels, divisor, gradients, workspace);
        let Ok(()) = pass.backward(Keep::Everything, workspace, gradients);
        loss
    }

    /// From the hidden states to the loss, and back to the gradient of the hidden states.
    fn output(
        &self,
        labels: &[Option<u32>],
        divisor: usize,
        gradients: &mut [f32],
        workspace: &mut Workspace,
    ) -> f64 {
        let (v, d) = (self.config.vocab, self.config.hidden);
        let (picked, labels): (Vec<u32>, Vec<u32>) =
            labels.iter().zip(0..).filter_map(|(label, row)| label.map(|label| (row, label))).unzip();
        let Workspace { hidden, d_hidden, output, .. } = workspace;
        let Output { labelled, d_labelled, no_bias, d_no_bias, fused } = output;
        rows::gather(hidden, d, &picked, labelled.reset(picked.len() * d));
        let inputs = Inputs {
            width: d,
            hidden: labelled,
            weight: &self.weights[self.places.head.clone()],
            bias: no_bias.clear(v),
            labels: &labels,
        };
        let to = cross_entropy::Gradients {
            hidden: d_labelled.reset(picked.len() * d),
            weight: &mut gradients[self.places.head.clone()],
            bias: d_no_bias.reset(v),
        };
        let loss = cross_entropy::weighted(inputs, to, 1.0 / divisor as f32, fused);
        rows::scatter_add(d_labelled, d, &picked, d_hidden.clear(hidden.len()));
        loss / divisor as f64
    }

    /// The matrices of all projections, layer by layer, and the embedding.
    fn matrices(&self) -> Vec<Dense<'_>> {
        let dense = |place: &Range<usize>, (rows, cols): (usize, usize)| Dense {
            data: &self.weights[place.clone()],
            rows,
            cols,
        };
        let mut matrices = Vec::with_capacity(TARGETS.len() * self.places.layers.len() + 1);
        for places in &self.places.layers {
            for (target, (weight, _)) in TARGETS.iter().zip(&places.projections) {
                matrices.push(dense(weight, sizes(*target, &self.config)));
            }
        }
        matrices.push(dense(&self.places.embed, (self.config.vocab, self.config.hidden)));
        matrices
    }

    fn view<'a>(&'a self, matrices: &'a [Dense<'a>]) -> View<'a, Cpu> {
        let norm =
            |place: &Range<usize>| Norm { weight: &self.weights[place.clone()], place: Some(place.clone()) };
        let layers = self.places.layers.iter().enumerate().map(|(index, places)| {
            let linear = |target: LoraTarget| {
                let (weight, bias) = &places.projections[site(target)];
                Linear {
                    weight: &matrices[index * TARGETS.len() + site(target)] as &dyn Matrix,
                    bias: bias.as_ref().map(|place| &self.weights[place.clone()]),
                    low: None,
                    place: Some((weight.clone(), bias.clone())),
                    site: site(target),
                }
            };
            LayerView {
                input_norm: norm(&places.input_norm),
                q: linear(LoraTarget::QProj),
                k: linear(LoraTarget::KProj),
                v: linear(LoraTarget::VProj),
                o: linear(LoraTarget::OProj),
                q_norm: places.head_norms.as_ref().map(|norms| norm(&norms.0)),
                k_norm: places.head_norms.as_ref().map(|norms| norm(&norms.1)),
                post_norm: norm(&places.post_norm),
                gate: linear(LoraTarget::GateProj),
                up: linear(LoraTarget::UpProj),
                down: linear(LoraTarget::DownProj),
            }
        });
        View {
            config: &self.config,
            embed: &matrices[matrices.len() - 1] as &dyn Matrix,
            embed_place: Some(self.places.embed.clone()),
            layers: layers.collect(),
            norm: norm(&self.places.norm),
        }
    }
}
