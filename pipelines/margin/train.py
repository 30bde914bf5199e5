"""Trains margin/model.onnx, and writes sample.jsonl, expected.jsonl and expected.model.jsonl.

Data: the barley yields of Immer and others (1934), 6 places x 10 varieties x 2 years, in bushels
per acre, from the vega_datasets package. Prices and costs are made up.

What is expected is worked out with pint, a library of units, and not by forebay: a bushel of
barley is counted with 48 pounds.
"""

import sys
from pathlib import Path

import numpy as np
import pint
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from vega_datasets import local_data

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import predict, save, write_jsonl  # noqa: E402

UNITS = pint.UnitRegistry()
DENSITY = UNITS.Quantity(48, "pound/bushel")
# Made up, and not those of the 1930s: EUR for a tonne by year, EUR for a hectare by place.
PRICES = {1931: 185.0, 1932: 172.5}
COSTS = {
    "University Farm": 310.0, "Waseca": 420.0, "Morris": 295.0,
    "Crookston": 330.0, "Grand Rapids": 260.0, "Duluth": 275.0,
}


def margin(crop, row):
    """EUR for a hectare, of a quantity of crop for an area."""
    price = UNITS.Quantity(row["price"], "1/tonne")
    return (crop * price).to("1/hectare").magnitude - row["cost"]


def main():
    table = local_data.barley()
    rows = [
        {"id": number, "site": row.site, "variety": row.variety, "year": int(row.year),
         "yield": row["yield"], "price": PRICES[row.year], "cost": COSTS[row.site]}
        for number, row in table.iterrows()
    ]
    write_jsonl(HERE / "sample.jsonl", rows)
    crops = [UNITS.Quantity(row["yield"], "bushel/acre") * DENSITY for row in rows]
    write_jsonl(HERE / "expected.jsonl", (
        {"id": row["id"], "yield_t": crop.to("tonne/hectare").magnitude, "margin": margin(crop, row)}
        for row, crop in zip(rows, crops)
    ))

    # The model knows kilograms for a hectare only: what grew in 1931 tells what grows in 1932.
    kilograms = np.array([[crop.to("kg/hectare").magnitude] for crop in crops], dtype=np.float32)
    place = {(row["site"], row["variety"], row["year"]): at for at, row in enumerate(rows)}
    before = [at for at, row in enumerate(rows) if row["year"] == 1931]
    after = [place[rows[at]["site"], rows[at]["variety"], 1932] for at in before]
    sites = [rows[at]["site"] for at in before]
    x, y = kilograms[before], kilograms[after][:, 0]
    model = LinearRegression().fit(x, y)
    unseen = cross_val_predict(LinearRegression(), x, y, groups=sites, cv=LeaveOneGroupOut())
    onnx_model = convert_sklearn(
        model, name="margin", target_opset=17, initial_types=[("X", FloatTensorType([None, 1]))]
    )
    save(onnx_model, HERE / "model.onnx", "margin")
    answers = predict(HERE / "model.onnx", {"X": kilograms})
    write_jsonl(HERE / "expected.model.jsonl", (
        {"id": row["id"], "next_kg": answer["variable"],
         "margin": margin(UNITS.Quantity(float(np.float32(answer["variable"])), "kg/hectare"), row)}
        for row, answer in zip(rows, answers)
    ))
    print(f"margin: {len(rows)} rows; the model is {np.abs(unseen - y).mean():.0f} kg/ha off "
          f"at a place that it has not seen, the mean yield is {y.mean():.0f} kg/ha")


if __name__ == "__main__":
    main()
