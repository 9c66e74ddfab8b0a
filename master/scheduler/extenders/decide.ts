import {
  type Decision,
  type Feasible,
  findFeasible,
  pickBest,
  type SearchQuestion,
  scored,
  type Unfit,
} from "../cycle.ts";
import { type Extenders, extenderName, type FilteredNodes } from "./extenders.ts";

/**
 * The best node for a pod that concerns extenders: of the nodes that the plugins take, those that the extenders take too, by
 * the scores of both. The plugins judged before the extenders were asked. Rejects as `Extenders.filter`.
 */
export async function decideWithExtenders(
  question: SearchQuestion,
  extenders: Extenders,
  random: () => number,
): Promise<Decision> {
  const { pod } = question.pod;
  let found = findFeasible(question, "first");
  if (found.kind === "unfit") return found;
  let left = await extenders.filter(pod, found.nodes);
  if (found.isCleared && left.nodes.length === 0) {
    found = findFeasible(question, "as any other");
    if (found.kind === "unfit") return found;
    left = await extenders.filter(pod, found.nodes);
  }
  const [first, ...others] = left.nodes;
  if (!first) return unfitAfter(found, left);
  const { evaluated, cycle } = found;
  if (others.length === 0) return { kind: "fits", node: first.name, evaluated };
  const scores = scored(question, cycle, left.nodes);
  const more = await extenders.scores(pod, left.nodes);
  const sums = scores.map((score, index) => score + (more[index] ?? 0));
  return { kind: "fits", node: pickBest(left.nodes, sums, random)?.name ?? "", evaluated };
}

function unfitAfter({ unfit, cycle }: Feasible, { rejections }: FilteredNodes): Unfit {
  return {
    ...unfit,
    rejections: new Map([...unfit.rejections, ...rejections]),
    plugins: new Set([...unfit.plugins, extenderName]),
    postFilter: cycle.postFilter(),
  };
}
