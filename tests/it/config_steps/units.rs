//! Units and densities in pipeline files that are wrong, with real models.

use super::{broken, faults, file, steps, units};

faults! {
    kg_per_ha_for_bu: units("{ a: { unit: kg/har }, b: { unit: Cel } }", r#"["[bu_us]/[acr_us]", Cel]"#);
    bu_without_density: units(r#"{ a: { unit: "[bu_us]/[acr_us]" }, b: { unit: Cel } }"#, "[kg/har, Cel]");
    fahrenheit_difference: units(r#"{ a: { unit: "[degF]" }, b: { unit: "K/h" } }"#, r#"[K, "[degF]/h"]"#);
    letters_for_degrees: units("{ a: { unit: F }, b: { unit: Cel } }", "Cel");
    ton: units("{ a: { unit: ton }, b: { unit: kg } }", "kg");
    eur_usd: units("{ a: { unit: EUR }, b: { unit: EUR } }", "USD");
    unit_missing: units("{ a: { unit: kg }, b: {} }", "kg");
    unknown_unit: units("{ a: { unit: kgs }, b: { unit: parsec/fortnight } }", "kg");
    unit_count: units("{ a: { unit: kg }, b: { unit: kg } }", "[kg, kg, kg]");
    unit_on_text: units("{ a: { unit: kg }, b: { unit: kg }, crop: { dtype: string, unit: kg } }", "kg") + "encode: { json: { pass: [crop] } }";
    density_by_no_values: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { by: crop } }, b: { unit: Cel }, crop: { dtype: string } }"#, "[kg/har, Cel]");
    density_by_missing: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { by: crop } }, b: { unit: Cel } }"#, "[kg/har, Cel]");
    density_by_float: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { by: b } }, b: { unit: Cel, values: [1, 2] } }"#, "[kg/har, Cel]");
    density_unknown_crop: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { by: crop } }, b: { unit: Cel }, crop: { dtype: string, values: [barley, quinoa, teff] } }"#, "[kg/har, Cel]");
    density_of_incomplete: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { by: crop, of: { barley: "48 [lb_av]/[bu_us]", quinoa: "0 kg/L" } } }, b: { unit: Cel }, crop: { dtype: string, values: [barley, quinoa, teff] } }"#, "[kg/har, Cel]");
    density_of_extra: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { by: crop, of: { barley: "48 [lb_av]/[bu_us]", barly: "40 [lb_av]/[bu_us]" } } }, b: { unit: Cel }, crop: { dtype: string, values: [barley] } }"#, "[kg/har, Cel]");
    density_both: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { by: crop, value: 48 kg/L } }, b: { unit: Cel }, crop: { dtype: string, values: [barley] } }"#, "[kg/har, Cel]");
    density_no_unit: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { value: "48" } }, b: { unit: Cel } }"#, "[kg/har, Cel]");
    density_wrong_way: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { value: "48 [bu_us]/[lb_av]" } }, b: { unit: Cel } }"#, "[kg/har, Cel]");
    density_unused_wrong: units(r#"{ a: { unit: kg/har, density: { value: "48 pigs" } }, b: { unit: Cel } }"#, "[kg/har, Cel]");
    density_without_unit: units(r#"{ a: { density: { value: "48 [lb_av]/[bu_us]" } }, b: { unit: Cel } }"#, r#"["1", Cel]"#);
    density_dim: units(r#"{ a: { unit: Cel, density: { value: "48 [lb_av]/[bu_us]" } }, b: { unit: Cel } }"#, "[kg/har, Cel]");
    of_without_by: units(r#"{ a: { unit: "[bu_us]/[acr_us]", density: { of: { barley: 48 kg/L } } }, b: { unit: Cel } }"#, "[kg/har, Cel]");
    input_units_name: units("{ a: { unit: kg }, b: { unit: kg } }", "kg").replace("{ X: kg }", "{ x: kg }");
    output_units_name: units("{ a: { unit: kg }, b: { unit: kg } }", "kg").replace("{ X: kg } }", r#"{ X: kg }, output_units: { probability: "%" } }"#);
    output_units_bad: units("{ a: { unit: kg }, b: { unit: kg } }", "kg").replace("{ X: kg } }", "{ X: kg }, output_units: { probabilities: percentage } }");
    output_units_text: file("", "{ m: { path: penguins/model.onnx, output_units: { output_label: kg } } }", "", "");
    input_units_text: file("{ crop: { dtype: string }, x: { unit: kg } }", "{ m: { path: ../tests/data/step_faults/text.onnx, input_units: { crop: kg, x: kg }, output_units: { name: kg } } }", "", "");
    int_input_converted: file("{ a: { dtype: i64, unit: t }, b: { dtype: i64, unit: kg } }", "{ m: { path: ../tests/data/step_faults/whole.onnx, input_units: { X: kg } } }", "[{ model: m, inputs: { X: [a, b] } }]", "");
    no_unit_for_percent: units(r#"{ a: { }, b: { unit: "1" } }"#, r#""%""#);
    dim_long: units(r#"{ a: { unit: mm/d }, b: { unit: "kg{dry}" } }"#, "[kg/m2/d, kg]");
    unit_beside_scale: steps("{ a: {}, b: {} }", "\n  - { scale: { center: 1 }, input: a, output: a2, unit: kg }\n  - { model: m, inputs: { X: [a2, b] } }");
    model_needs_unit_of_scaled: file("{ a: {unit: kg}, b: {unit: kg} }", "{ m: { path: ../tests/data/step_faults/pair.onnx, input_units: { X: kg } } }", "\n  - { scale: { center: 1 }, input: [a, b], output: ab }\n  - { model: m, inputs: { X: ab } }", "");
}
