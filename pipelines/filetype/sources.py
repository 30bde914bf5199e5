"""Little texts in many languages, all written for this."""

SOURCES = {
    "page.html": """<!DOCTYPE html>
<html lang="en">
  <head><meta charset="utf-8"><title>North field</title><link rel="stylesheet" href="style.css"></head>
  <body>
    <h1>North field</h1>
    <p class="note">The pump has <b>stopped</b>. See the <a href="/log">log</a>.</p>
    <ul><li>flow: 0 l/min</li><li>since: 06:40</li></ul>
  </body>
</html>
""",
    "style.css": """body { margin: 0 auto; max-width: 60rem; font-family: sans-serif; color: #222; }
h1, h2 { border-bottom: 1px solid #ccc; }
.note { padding: 0.5em 1em; background: rgba(255, 240, 200, 0.8); }
@media (max-width: 600px) { body { padding: 0 1em; } .note { display: none; } }
""",
    "app.js": """const express = require('express');
const app = express();
let flow = 0;

app.get('/flow', (request, response) => {
  response.json({ flow, at: new Date().toISOString() });
});

function watch(pump) {
  pump.on('data', (value) => { flow = parseFloat(value); });
  pump.on('error', (error) => console.error(`pump: ${error.message}`));
}

module.exports = { app, watch };
""",
    "app.ts": """interface Reading { field: string; flow: number; at: Date; }

export class Pump {
  private readings: Reading[] = [];
  constructor(private readonly field: string, public limit: number = 10) {}

  add(flow: number): void {
    this.readings.push({ field: this.field, flow, at: new Date() });
  }

  mean(): number | undefined {
    if (this.readings.length === 0) return undefined;
    return this.readings.reduce((sum: number, r: Reading) => sum + r.flow, 0) / this.readings.length;
  }
}
""",
    "pump.c": """#include <stdio.h>
#include <stdlib.h>
#include "pump.h"

static double mean(const double *values, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return count ? sum / count : 0.0;
}

int main(int argc, char **argv) {
    double flows[] = {1.5, 2.25, 0.0};
    if (argc > 1) flows[0] = atof(argv[1]);
    printf("mean flow: %.2f\\n", mean(flows, sizeof flows / sizeof *flows));
    return EXIT_SUCCESS;
}
""",
    "pump.cpp": """#include <iostream>
#include <memory>
#include <vector>

namespace farm {
template <typename T>
class Series {
 public:
  void add(T value) { values_.push_back(value); }
  T mean() const {
    T sum{};
    for (const auto& value : values_) sum += value;
    return values_.empty() ? T{} : sum / static_cast<T>(values_.size());
  }

 private:
  std::vector<T> values_;
};
}  // namespace farm

int main() {
  auto flows = std::make_unique<farm::Series<double>>();
  for (double flow : {1.5, 2.25, 0.0}) flows->add(flow);
  std::cout << "mean flow: " << flows->mean() << std::endl;
}
""",
    "Pump.java": """package org.example.farm;

import java.util.ArrayList;
import java.util.List;

public final class Pump {
    private final List<Double> flows = new ArrayList<>();

    public void add(double flow) {
        if (flow < 0) throw new IllegalArgumentException("flow: " + flow);
        flows.add(flow);
    }

    public double mean() {
        return flows.stream().mapToDouble(Double::doubleValue).average().orElse(0.0);
    }

    public static void main(String[] args) {
        Pump pump = new Pump();
        for (String arg : args) pump.add(Double.parseDouble(arg));
        System.out.println("mean flow: " + pump.mean());
    }
}
""",
    "pump.go": """package main

import (
	"fmt"
	"os"
	"strconv"
)

type Pump struct{ flows []float64 }

func (p *Pump) Mean() float64 {
	sum := 0.0
	for _, flow := range p.flows {
		sum += flow
	}
	return sum / float64(len(p.flows))
}

func main() {
	pump := &Pump{}
	for _, arg := range os.Args[1:] {
		flow, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		pump.flows = append(pump.flows, flow)
	}
	fmt.Printf("mean flow: %.2f\\n", pump.Mean())
}
""",
    "pump.rb": """require 'json'

module Farm
  class Pump
    attr_reader :flows

    def initialize(field)
      @field = field
      @flows = []
    end

    def mean
      return 0.0 if flows.empty?
      flows.sum / flows.size
    end
  end
end

pump = Farm::Pump.new(:north)
ARGV.each { |arg| pump.flows << arg.to_f }
puts JSON.generate(mean: pump.mean)
""",
    "pump.php": """<?php
declare(strict_types=1);

namespace Farm;

final class Pump
{
    private array $flows = [];

    public function add(float $flow): void
    {
        $this->flows[] = $flow;
    }

    public function mean(): float
    {
        return count($this->flows) ? array_sum($this->flows) / count($this->flows) : 0.0;
    }
}

$pump = new Pump();
foreach (array_slice($argv, 1) as $flow) {
    $pump->add((float) $flow);
}
echo "mean flow: {$pump->mean()}\\n";
""",
    "pump.lua": """local Pump = {}
Pump.__index = Pump

function Pump.new(field)
  return setmetatable({ field = field, flows = {} }, Pump)
end

function Pump:mean()
  local sum = 0
  for _, flow in ipairs(self.flows) do
    sum = sum + flow
  end
  return #self.flows > 0 and sum / #self.flows or nil
end

local pump = Pump.new("north")
table.insert(pump.flows, 1.5)
print(string.format("mean flow: %.2f", pump:mean()))
""",
    "pump.pl": """#!/usr/bin/perl
use strict;
use warnings;

my %flows;
while (my $line = <STDIN>) {
    chomp $line;
    next unless $line =~ /^(\\w+)\\s+([\\d.]+)$/;
    push @{ $flows{$1} }, $2;
}
foreach my $field (sort keys %flows) {
    my $sum = 0;
    $sum += $_ for @{ $flows{$field} };
    printf "%s: %.2f\\n", $field, $sum / scalar @{ $flows{$field} };
}
""",
    "pump.kt": """package org.example.farm

data class Reading(val field: String, val flow: Double)

class Pump(private val field: String) {
    private val readings = mutableListOf<Reading>()

    fun add(flow: Double) = readings.add(Reading(field, flow)).also { require(flow >= 0) }

    val mean: Double? get() = readings.takeIf { it.isNotEmpty() }?.map { it.flow }?.average()
}

fun main(args: Array<String>) {
    val pump = Pump("north")
    args.mapNotNull(String::toDoubleOrNull).forEach { pump.add(it) }
    println("mean flow: ${pump.mean ?: "none"}")
}
""",
    "Pump.cs": """using System;
using System.Collections.Generic;
using System.Linq;

namespace Farm
{
    public sealed class Pump
    {
        private readonly List<double> flows = new List<double>();

        public double Mean => flows.Count > 0 ? flows.Average() : 0.0;

        public void Add(double flow) => flows.Add(flow);

        public static void Main(string[] args)
        {
            var pump = new Pump();
            foreach (var arg in args) pump.Add(double.Parse(arg));
            Console.WriteLine($"mean flow: {pump.Mean:F2}");
        }
    }
}
""",
    "Pump.hs": """module Main (main) where

import qualified Data.Map.Strict as Map
import System.Environment (getArgs)

type Flows = Map.Map String [Double]

mean :: [Double] -> Maybe Double
mean [] = Nothing
mean flows = Just (sum flows / fromIntegral (length flows))

main :: IO ()
main = do
  args <- getArgs
  let flows = Map.fromListWith (++) [("north", [read arg]) | arg <- args] :: Flows
  mapM_ (print . mean) (Map.elems flows)
""",
    "run.sh": """#!/bin/sh
# Watches the pumps, and says which of them stand still.
set -eu

for field in north south east; do
    flow=$(curl -fsS "http://$field.example.org/flow" || echo 0)
    if [ "${flow%.*}" -eq 0 ]; then
        echo "the pump of the $field field stands still" >&2
    fi
done
""",
    "run.ps1": """param([string[]]$Fields = @('north', 'south'))

foreach ($field in $Fields) {
    try {
        $flow = Invoke-RestMethod -Uri "http://$field.example.org/flow"
        if ($flow.value -eq 0) { Write-Warning "the pump of $field stands still" }
    } catch {
        Write-Error $_.Exception.Message
    }
}
Get-ChildItem -Path . -Filter *.log | Where-Object { $_.Length -gt 1MB } | Remove-Item
""",
    "run.bat": """@echo off
setlocal enabledelayedexpansion
for %%f in (north south east) do (
    curl -fsS http://%%f.example.org/flow > %%f.txt
    if errorlevel 1 echo the pump of %%f does not answer
)
if exist old.log del /q old.log
pause
""",
    "report.sql": """CREATE TABLE flows (
    field   VARCHAR(20) NOT NULL,
    at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    flow    NUMERIC(8, 2) CHECK (flow >= 0),
    PRIMARY KEY (field, at)
);

INSERT INTO flows (field, flow) VALUES ('north', 1.5), ('south', 2.25);

SELECT field, AVG(flow) AS mean_flow, COUNT(*) AS readings
FROM flows
WHERE at > CURRENT_TIMESTAMP - INTERVAL '1 day'
GROUP BY field
HAVING COUNT(*) > 3
ORDER BY mean_flow DESC;
""",
    "paper.tex": r"""\documentclass{article}
\usepackage{amsmath}
\title{The flow of pumps}
\begin{document}
\maketitle
\section{Introduction}
The mean flow over $n$ readings is
\begin{equation}
  \bar{q} = \frac{1}{n} \sum_{i=1}^{n} q_i \label{eq:mean}
\end{equation}
as in \eqref{eq:mean}. We write \emph{flow} for litres in a minute.
\end{document}
""",
    "guide.rst": """=============
Pumps at work
=============

.. contents:: :local:

Reading the flow
----------------

Call :func:`farm.flow` with the name of a field::

    >>> flow("north")
    1.5

.. note:: A pump that stands still gives 0.

* north: ``1.5``
* south: ``2.25``
""",
    "server.ini": """[server]
host = 127.0.0.1
port = 8080
; how often the pumps are asked
interval = 30

[fields]
north = http://north.example.org/flow
south = http://south.example.org/flow
""",
    "data.xml": """<?xml version="1.0" encoding="UTF-8"?>
<farm xmlns="http://example.org/farm">
  <field name="north" area="12.5"><pump state="stopped"><flow unit="l/min">0</flow></pump></field>
  <field name="south" area="7.25"><pump state="running"><flow unit="l/min">2.25</flow></pump></field>
</farm>
""",
    "icon.svg": """<svg xmlns="http://www.w3.org/2000/svg" width="48" height="32" viewBox="0 0 48 32">
  <rect width="48" height="32" fill="#1e5aa0"/>
  <ellipse cx="24" cy="16" rx="16" ry="12" fill="#e6c828"/>
  <path d="M0 31 L47 0" stroke="#c81414" stroke-width="3"/>
</svg>
""",
    "change.diff": """diff --git a/farm/pump.py b/farm/pump.py
index 3f1c2aa..9d0e4b1 100644
--- a/farm/pump.py
+++ b/farm/pump.py
@@ -10,7 +10,9 @@ class Pump:
     def mean(self):
-        return sum(self.flows) / len(self.flows)
+        if not self.flows:
+            return 0.0
+        return sum(self.flows) / len(self.flows)
 
     def add(self, flow):
""",
    "Dockerfile": """FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements.txt .
COPY farm/ farm/
ENV FLOW_INTERVAL=30
EXPOSE 8080
USER nobody
ENTRYPOINT ["python3", "-m", "farm"]
""",
    "main.tf": """variable "fields" {
  type    = list(string)
  default = ["north", "south"]
}

resource "example_pump" "pump" {
  for_each = toset(var.fields)
  name     = "pump-${each.key}"
  tags     = { owner = "farm", env = "test" }
}

output "names" { value = [for pump in example_pump.pump : pump.name] }
""",
    "farm.proto": """syntax = "proto3";

package farm.v1;

message Reading {
  string field = 1;
  double flow = 2;
  repeated string tags = 3;
}

service Pumps {
  rpc Watch(Reading) returns (stream Reading);
}
""",
    "farm.cmake": """cmake_minimum_required(VERSION 3.20)
project(farm LANGUAGES C CXX)
find_package(Threads REQUIRED)
add_executable(pump pump.c series.cpp)
target_link_libraries(pump PRIVATE Threads::Threads m)
set_target_properties(pump PROPERTIES CXX_STANDARD 17)
if(BUILD_TESTING)
  enable_testing()
  add_test(NAME pump COMMAND pump 1.5)
endif()
""",
    "flow.r": """library(stats)
flows <- data.frame(field = c("north", "south"), flow = c(1.5, 2.25))
means <- aggregate(flow ~ field, data = flows, FUN = mean)
model <- lm(flow ~ field, data = flows)
print(summary(model))
plot(flows$flow, type = "l", xlab = "time", ylab = "flow")
""",
    "film.srt": """1
00:00:01,000 --> 00:00:04,200
The pump on the north field has stopped.

2
00:00:05,000 --> 00:00:07,500
Then somebody has to go there.

3
00:00:08,100 --> 00:00:11,000
It will not be me.
""",
    "days.ics": """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//farm//pumps//EN
BEGIN:VEVENT
UID:4711@example.org
DTSTAMP:20261102T080000Z
DTSTART:20261103T060000Z
SUMMARY:Clean the sieve of the north pump
END:VEVENT
END:VCALENDAR
""",
    "pump.swift": """import Foundation

struct Pump {
    let field: String
    var flows: [Double] = []

    var mean: Double? {
        guard !flows.isEmpty else { return nil }
        return flows.reduce(0, +) / Double(flows.count)
    }

    mutating func add(_ flow: Double) { flows.append(flow) }
}

var pump = Pump(field: "north")
pump.add(1.5)
print("mean flow: \\(pump.mean ?? 0)")
""",
}
