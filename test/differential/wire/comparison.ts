import { answerOf, type WireAnswer } from "./answer.ts";
import { differences } from "./differences.ts";
import { loadAnswers } from "./recording.ts";
import { sendGroup, type Target, type WireGroup } from "./request.ts";

const here = loadAnswers();

export interface Differing {
  readonly name: string;
  readonly path: string;
  readonly upstream: WireAnswer | undefined;
  readonly ours: WireAnswer;
}

/** What `target` answers otherwise than upstream did, but for what differs on purpose. */
export async function differing(target: Target, group: WireGroup, recorded = here): Promise<Differing[]> {
  const found: Differing[] = [];
  await sendGroup(target, group, async (request, sent, response) => {
    const ours = await answerOf(response, sent, request);
    const upstream = recorded(request.name);
    if (upstream && Bun.deepEquals(ours, upstream)) return;
    if (upstream && differences.some(({ explains }) => explains(request, upstream, ours))) return;
    found.push({ name: request.name, path: request.path, upstream, ours });
  });
  return found;
}
