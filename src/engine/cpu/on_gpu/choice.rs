//! What a model's products are multiplied as: what the file asks for, or the fastest whose results are near enough to those of
//! the CPU.

use std::sync::Arc;

use super::{
    super::{
        model::Model,
        parity::{self, Known, Ports},
    },
    plans::Planner,
};
use crate::{
    engine::{
        cuda::{
            convolution::Order,
            gpu::Gpu,
            lower::Products,
            model::{LoadError, Model as CudaModel},
            plan::Plan,
            product::Math,
            sizes::Size,
        },
        precision::{Accuracy, MATHS, Precision},
    },
    graph::proto,
};

/// Why a model does not run on a GPU, in words.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) why: String,
    /// The device has too little memory: fewer rows at once may still fit.
    pub(super) memory: bool,
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self { why, memory: false }
    }
}

impl From<LoadError> for Refused {
    fn from(error: LoadError) -> Self {
        Self {
            why: error.to_string(),
            memory: error.is_memory(),
        }
    }
}

/// What was chosen.
pub(super) struct Choice {
    pub(super) products: Products,
    /// The plan for the most rows.
    pub(super) plan: Plan,
    /// Why products are multiplied so; nothing where the model has none.
    pub(super) said: Option<String>,
    /// Which kernels do the rest; nothing where none would be compiled for it.
    pub(super) kernels: Option<String>,
    /// Whether kernels of its own were thought of.
    settled: bool,
}

impl Choice {
    /// Says one more thing.
    pub(super) fn adds(&mut self, more: String) {
        self.said = Some(match self.said.take() {
            Some(said) => format!("{said}; {more}"),
            None => more,
        });
    }
}

/// Which of NVIDIA's libraries are there, of those that would have something to do.
#[derive(Debug, Clone, Copy)]
struct Libraries {
    /// cuBLASLt.
    products: Option<bool>,
    /// cuDNN.
    convolutions: Option<bool>,
}

impl Libraries {
    /// Everything multiplied as this, with what is there, by general kernels. cuDNN takes pictures as they lie.
    fn multiply(self, math: Math) -> Products {
        Products {
            math,
            library: self.products == Some(true),
            cudnn: (self.convolutions == Some(true)).then_some(Order::Planes),
            fused: false,
        }
    }

    /// What is said of those that are not there.
    fn without(self) -> &'static str {
        match (self.products, self.convolutions) {
            (Some(false), Some(false)) => ", without cuBLASLt and cuDNN",
            (Some(false), _) => ", without cuBLASLt",
            (_, Some(false)) => ", without cuDNN",
            _ => "",
        }
    }
}

/// A shorter precision must take less than this part of the time to be worth what it loses.
const WORTH: f32 = 0.9;
/// Larger than sixteen bits hold: what inputs in single precision may be.
const LARGE: f32 = 65536.0;

/// A model that is to run on a GPU.
pub(super) struct Chooser<'m> {
    pub(super) gpu: &'m Arc<Gpu>,
    pub(super) model: &'m mut Model,
    pub(super) ports: Ports<'m>,
    pub(super) accuracy: Accuracy,
    /// What made-up rows came to on the CPU.
    pub(super) known: Known,
}

impl Chooser<'_> {
    /// Chooses, by the plan for the most rows.
    ///
    /// # Errors
    /// What cannot be lowered, or what the file asks for and cannot be had; in words.
    pub(super) fn choose(
        &mut self,
        planner: &Planner<'_>,
        optimized: &proto::Model,
    ) -> Result<Choice, Refused> {
        let choice = self.precision(planner, optimized)?;
        Ok(self.fused(planner, optimized, choice, None)?.0)
    }

    /// The same with kernels that are compiled for the model, where there is anything to compile, it can be, and a batch then
    /// takes no more time than with general ones (`before`, where that is known); and that time.
    fn fused(
        &self,
        planner: &Planner<'_>,
        optimized: &proto::Model,
        mut general: Choice,
        before: Option<f32>,
    ) -> Result<(Choice, Option<f32>), Refused> {
        if general.settled {
            return Ok((general, before));
        }
        general.settled = true;
        let size = planner.largest();
        let products = Products {
            fused: true,
            ..general.products
        };
        let plan = planner.plan(optimized, size, products)?;
        let count = plan.fused();
        if count == 0 {
            return Ok((general, before));
        }
        if self.gpu.can_fuse().is_err() {
            general.kernels = Some("general kernels, without NVRTC".to_owned());
            return Ok((general, before));
        }
        let path = self.model.source.path.display();
        let time = match self.timed(size, &plan) {
            Ok(time) => time,
            Err(refused) if refused.memory => return Err(refused),
            Err(Refused { why, .. }) => {
                tracing::warn!(model = %path, "general kernels run it: {why}");
                general.kernels = Some(format!("general kernels, since {why}"));
                return Ok((general, before));
            }
        };
        let before = match before {
            Some(before) => before,
            None => self.timed(size, &general.plan)?,
        };
        let kernels = if count == 1 {
            "1 kernel of its own".to_owned()
        } else {
            format!("{count} kernels of its own")
        };
        tracing::info!(model = %path, "a batch of {} rows takes {time} ms with {kernels}, and {before} ms with general ones", size.rows);
        if time > before {
            general.kernels = Some(format!("general kernels, faster than {kernels}"));
            return Ok((general, Some(before)));
        }
        let fused = Choice {
            products,
            plan,
            said: general.said,
            kernels: Some(kernels),
            settled: true,
        };
        Ok((fused, Some(time)))
    }

    /// The same by cuDNN with the channels of each pixel side by side, where it is there, a batch then takes less time (`before`
    /// is what it takes now, where that is known), and what it gives is near enough; and that time.
    fn arranged(
        &mut self,
        planner: &Planner<'_>,
        optimized: &proto::Model,
        mut choice: Choice,
        before: Option<f32>,
    ) -> Result<(Choice, Option<f32>), Refused> {
        let products = Products {
            cudnn: Some(Order::Channels),
            ..choice.products
        };
        let size = planner.largest();
        let there = choice.products.cudnn.is_some();
        let plan = there.then(|| planner.plan(optimized, size, products));
        // Pictures that cannot be turned stay as they are.
        let Some(plan) = (plan.and_then(Result::ok)).filter(Plan::has_convolutions) else {
            return Ok((choice, before));
        };
        let before = match before {
            Some(before) => before,
            None => self.timed(size, &choice.plan)?,
        };
        let path = self.model.source.path.display().to_string();
        match self.tried(size, &plan, products.math) {
            Ok(time) => {
                tracing::info!(model = %path, "a batch of {} rows takes {time} ms with channels side by side, and {before} ms with planes", size.rows);
                if time < before {
                    choice.adds("convolutions by cuDNN, with channels side by side".to_owned());
                    let better = Choice {
                        products,
                        plan,
                        ..choice
                    };
                    return Ok((better, Some(time)));
                }
            }
            // It needs more memory, or cuDNN has no way: what is there without it stays.
            Err(Refused { why, .. }) => {
                tracing::info!(model = %path, "pictures stay planes for cuDNN: {why}");
            }
        }
        Ok((choice, Some(before)))
    }

    /// How many milliseconds a full batch takes by this plan.
    fn timed(&self, size: Size, plan: &Plan) -> Result<f32, Refused> {
        let mut model = CudaModel::load(self.gpu, &[(size, plan)])?;
        Ok(model.milliseconds(self.gpu).map_err(LoadError::from)?)
    }

    /// What products are multiplied as.
    fn precision(
        &mut self,
        planner: &Planner<'_>,
        optimized: &proto::Model,
    ) -> Result<Choice, Refused> {
        let size = planner.largest();
        let own = planner.plan(optimized, size, Products::OWN)?;
        let matrices = own.launches("gemm_f32");
        let single = matrices || own.launches("conv_f32");
        let half = own.launches("gemm_f16") || own.launches("gemm_bf16");
        if !single && !half {
            // The library would be loaded for nothing.
            return Ok(Choice {
                products: Products::OWN,
                plan: own,
                said: None,
                kernels: None,
                settled: false,
            });
        }
        let there = Libraries {
            products: (matrices || half).then(|| self.gpu.has_library().is_ok()),
            convolutions: (own.launches("conv_f32") || own.launches("conv_direct_f32"))
                .then(|| self.gpu.has_convolver().is_ok()),
        };
        if !single {
            // The model's own precision is not for us to change.
            let products = there.multiply(Math::Single);
            return Ok(Choice {
                products,
                plan: planner.plan(optimized, size, products)?,
                said: None,
                kernels: None,
                settled: false,
            });
        }
        match self.accuracy.precision {
            Precision::As(math) => {
                let products = there.multiply(math);
                let choice = Choice {
                    products,
                    plan: planner.plan(optimized, size, products)?,
                    said: Some(format!("products in {}, as asked for", math.name())),
                    kernels: None,
                    settled: false,
                };
                Ok(self.arranged(planner, optimized, choice, None)?.0)
            }
            Precision::Auto => self.fastest(planner, optimized, there),
        }
    }

    /// The fastest of those that are near enough.
    fn fastest(
        &mut self,
        planner: &Planner<'_>,
        optimized: &proto::Model,
        there: Libraries,
    ) -> Result<Choice, Refused> {
        let size = planner.largest();
        let path = self.model.source.path.display().to_string();
        let mut best: Option<(f32, Choice)> = None;
        let mut exact = None;
        let mut refused = Vec::new();
        let coarsest = self.accuracy.coarsest;
        for math in MATHS.into_iter().filter(|math| *math <= coarsest) {
            let products = there.multiply(math);
            let plan = planner.plan(optimized, size, products)?;
            // Where nothing depends on the precision there is nothing to choose.
            if exact.as_ref().is_some_and(|steps| *steps == plan.steps) {
                continue;
            }
            exact.get_or_insert_with(|| plan.steps.clone());
            let time = match self.tried(size, &plan, math) {
                Ok(time) => time,
                Err(why) if math == Math::Single => return Err(why),
                // Another precision would find as little memory.
                Err(refused) if refused.memory => return Err(refused),
                Err(Refused { why, .. }) => {
                    tracing::info!(model = %path, "products are not multiplied in {}: {why}", math.name());
                    refused.push(format!("; not in {}: {why}", math.name()));
                    continue;
                }
            };
            tracing::info!(model = %path, "a batch of {} rows takes {time} ms with products in {}", size.rows, math.name());
            let choice = Choice {
                products,
                plan,
                said: None,
                kernels: None,
                settled: false,
            };
            let (choice, least) = self.arranged(planner, optimized, choice, Some(time))?;
            let (choice, least) = self.fused(planner, optimized, choice, least)?;
            let time = least.unwrap_or(time);
            if best.as_ref().is_none_or(|(least, _)| time < least * WORTH) {
                best = Some((time, choice));
            }
        }
        let (_, mut choice) =
            best.ok_or_else(|| "none of the precisions could be tried".to_owned())?;
        let chosen = choice.products.math.name();
        let without = there.without();
        let golden = if coarsest == Accuracy::default().coarsest {
            ""
        } else {
            " and as exact as the golden rows need"
        };
        let said =
            format!("products in {chosen}, the fastest within the tolerance{golden}{without}");
        let more = choice.said.map(|more| format!("; {more}"));
        choice.said = Some(said + &refused.concat() + &more.unwrap_or_default());
        Ok(choice)
    }

    /// How many milliseconds a full batch takes so.
    ///
    /// # Errors
    /// It does not run, or what it gives is too far off; in words.
    fn tried(&mut self, size: Size, plan: &Plan, math: Math) -> Result<f32, Refused> {
        let mut on_gpu = CudaModel::load(self.gpu, &[(size, plan)])?;
        let mut near = |scale: f32, model: &mut Model| {
            let limit = self.accuracy.limit(math);
            let asked = parity::Asked { limit, scale };
            match parity::difference(model, &mut on_gpu, self.ports, asked, &mut self.known) {
                Ok(None) => Ok(()),
                Ok(Some(worst)) => Err(worst),
                // Without numbers to compare nothing but what the model has can be taken.
                Err(_) if math == Math::Single => Ok(()),
                Err(why) => Err(format!("it cannot be compared: {why}")),
            }
        };
        if math == Math::Single {
            // Whoever loads the whole compares it, and says more.
            return Ok(on_gpu.milliseconds(self.gpu).map_err(LoadError::from)?);
        }
        near(1.0, self.model)?;
        if math == Math::Half && matches!(self.accuracy.precision, Precision::Auto) {
            // Made-up rows are small numbers; real ones may be beyond what these sixteen bits hold.
            near(LARGE, self.model).map_err(|why| format!("for large inputs, {why}"))?;
        }
        Ok(on_gpu.milliseconds(self.gpu).map_err(LoadError::from)?)
    }
}
