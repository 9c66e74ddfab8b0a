/** Requests that nobody should send, each decided by its seed alone. */
import { loadSamples } from "./bodies.ts";
import type { FuzzCase, Shape } from "./fuzz-case.ts";
import { bodyCase, headerCase, patchCase, readCase } from "./http-shapes.ts";
import { http2Case } from "./http2-shapes.ts";
import { Random } from "./random.ts";
import { bytesCase, framingCase, garbageCase, pipelineCase, upgradeCase } from "./wire-shapes.ts";

/** By how often of a hundred. */
const shapes: Readonly<Record<string, { readonly weight: number; readonly make: Shape }>> = {
  body: { weight: 30, make: bodyCase },
  patch: { weight: 12, make: patchCase },
  read: { weight: 14, make: readCase },
  headers: { weight: 10, make: headerCase },
  framing: { weight: 8, make: framingCase },
  bytes: { weight: 7, make: bytesCase },
  upgrade: { weight: 6, make: upgradeCase },
  http2: { weight: 8, make: http2Case },
  garbage: { weight: 3, make: garbageCase },
  pipeline: { weight: 2, make: pipelineCase },
};

export type CaseMaker = (seed: number) => FuzzCase;

/** @param namespaces in which objects are made, in turn. */
export async function caseMaker(namespaces: readonly string[]): Promise<CaseMaker> {
  const samples = [...(await loadSamples())];
  const total = Object.values(shapes).reduce((sum, { weight }) => sum + weight, 0);
  return (seed) => {
    const random = new Random(seed);
    let at = random.below(total);
    const chosen = Object.entries(shapes).find(([, { weight }]) => {
      at -= weight;
      return at < 0;
    });
    if (!chosen) throw new Error("the weights do not add up");
    return { seed, shape: chosen[0], ...chosen[1].make(random, samples, random.pick(namespaces)) };
  };
}
