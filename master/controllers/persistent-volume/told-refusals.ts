import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { AttachmentStep } from "./attachment-plan.ts";

/** Between tellings of one failure, doubled each time: upstream's pauses between its tries to attach. */
const first_ms = 500;
const longest_ms = 122_000;

type Refusal = Extract<AttachmentStep, { kind: "refuse" }>;

interface Told {
  readonly why: Refusal["why"];
  readonly times: number;
  /** Monotonic; never for a conflict. */
  readonly again_ms: number;
}

/** What the pods of a node know of volumes that they cannot have: that another node has one they are told once, that its driver fails
 *  ever more seldom, each for as long as it is so. */
export class ToldRefusals {
  /** By node and volume. */
  readonly #told = new Map<string, ReadonlyMap<string, Told>>();

  /** The steps without refusals of which the pods know. */
  untold(nodeName: string, steps: readonly AttachmentStep[], now_ms: number): AttachmentStep[] {
    return steps.filter((step) => step.kind !== "refuse" || isDue(this.#of(nodeName, step), now_ms));
  }

  /** Takes in that those which `untold` gave of these steps have been carried out. */
  note(nodeName: string, steps: readonly AttachmentStep[], now_ms: number): void {
    const next = new Map<string, Told>();
    for (const step of steps) {
      if (step.kind !== "refuse") continue;
      const told = this.#of(nodeName, step);
      next.set(volumeOf(step), told && !isDue(told, now_ms) ? told : toldOnceMore(step, told, now_ms));
    }
    if (next.size > 0) this.#told.set(nodeName, next);
    else this.#told.delete(nodeName);
  }

  /** How long until one is to be told again, ms; Infinity where none is. */
  againIn_ms(nodeName: string, now_ms: number): number {
    const times = [...(this.#told.get(nodeName)?.values() ?? [])].map(({ again_ms }) => again_ms - now_ms);
    return Math.min(Number.POSITIVE_INFINITY, ...times);
  }

  #of(nodeName: string, step: Refusal): Told | undefined {
    const told = this.#told.get(nodeName)?.get(volumeOf(step));
    return told?.why === step.why ? told : undefined;
  }
}

const volumeOf = ({ wanted }: Refusal): string => wanted.volume.metadata.name ?? "";

const isDue = (told: Told | undefined, now_ms: number): boolean => told === undefined || told.again_ms <= now_ms;

function toldOnceMore({ why }: Refusal, told: Told | undefined, now_ms: number): Told {
  const times = told?.times ?? 0;
  const pause_ms = why === "conflict" ? Number.POSITIVE_INFINITY : exponentialDelay_ms(times, first_ms, longest_ms);
  return { why, times: times + 1, again_ms: now_ms + pause_ms };
}
