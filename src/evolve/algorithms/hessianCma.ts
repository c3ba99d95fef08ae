// Hessian-preconditioned CMA-ES: Cholesky CMA-ES that starts with the shape of the generator's image metric, in its leading directions only.
//
// Source: Wang & Ponce 2022, HessCMAES of PonceLab/circuit_toolkit: A_0 = diag(eig^-e) V', V' the eigenvectors as rows. Directions that change the image
// strongly get small steps. Codes stay in start + span of the basis; N in the learning rates is the number of directions.

import { fault, ok } from "../../shared/result.ts";
import { addProducts } from "../linear.ts";
import { populationOption, stepSizeOption } from "../strategy.ts";
import type { Algorithm } from "../strategy.ts";
import { choleskyCma, createCholesky } from "./choleskyCma.ts";

export const hessianCma: Algorithm = {
  entry: {
    name: "hessian-cma",
    title: "Hessian-preconditioned CMA-ES",
    whenToUse: "For BigGAN and other generators whose image metric (Hessian) is known: all directions change the image about equally. Needs a basis. BigGAN: step size 0.2, exponent 1/2.5. DeePSiM fc6: 500 or 800 directions, step size 0.8, exponent 1/5.",
    source: "Wang & Ponce 2022; PonceLab/circuit_toolkit HessCMAES",
    dimMin: 1,
    dimMax: null,
    options: [
      populationOption("4 + floor(3 log2 K), K the directions of the basis"),
      stepSizeOption(0.2, "0.2 for BigGAN, 0.8 for DeePSiM fc6"),
      ...choleskyCma.entry.options.filter((option) => option.name === "updateEvery"),
      {
        kind: "number",
        name: "exponent",
        unit: "",
        default: 0.4,
        defaultRule: "1/2.5 for BigGAN, 1/5 for DeePSiM fc6",
        min: 0,
        max: 2,
        description: "e in the first scale of a direction, eigenvalue^-e; 0 for none, 1/2 for equal change of the image.",
      },
    ],
  },
  derivedDefaults: ({ dim, directions }) => ({ population: 4 + Math.floor(3 * Math.log2(directions ?? dim)) }),
  create(setup) {
    const { basis, dim, options } = setup;
    if (basis === null) {
      return fault("basisMissing", "Hessian-preconditioned CMA-ES needs a Hessian basis of the generator. Give the basis, or use cholesky-cma.");
    }
    const { eigenvalues, eigenvectors } = basis;
    const factorDim = eigenvalues.length;
    if (factorDim < 1 || factorDim > dim || eigenvectors.length !== factorDim * dim) {
      return fault("basisInvalid", `Expected 1 to ${dim} eigenvalues and as many eigenvectors of length ${dim}, got ${factorDim} eigenvalues and ${eigenvectors.length} numbers of eigenvectors.`);
    }
    const broken = eigenvalues.findIndex((value) => !(Number.isFinite(value) && value > 0));
    if (broken >= 0) {
      return fault("basisInvalid", `Eigenvalue ${broken} of the basis is ${eigenvalues[broken]}; all must be above 0. Keep the leading directions only.`);
    }
    if (!eigenvectors.every(Number.isFinite)) return fault("basisInvalid", "The eigenvectors of the basis hold numbers that are not finite.");
    const scales = eigenvalues.map((value) => value ** -options.number("exponent"));
    return ok(
      createCholesky(setup, {
        factorDim,
        decode(rows, rowCount) {
          const scaled = new Float64Array(rowCount * factorDim);
          for (let i = 0; i < scaled.length; i++) scaled[i] = rows[i]! * scales[i % factorDim]!;
          const codes = new Float64Array(rowCount * dim);
          addProducts(codes, rowCount, scaled, eigenvectors, factorDim, dim); // x - m = sigma z A diag(eig^-e) V'
          return codes;
        },
      }),
    );
  },
};
