/** Words of the API as a colour and a word: never the colour alone. */

export type Tone = "good" | "warn" | "bad" | "idle";

const tones: Readonly<Record<string, Tone>> = {
  Running: "good",
  Ready: "good",
  Active: "good",
  Bound: "good",
  Available: "good",
  True: "good",
  Complete: "good",
  Completed: "idle",
  Succeeded: "idle",
  Pending: "warn",
  ContainerCreating: "warn",
  PodInitializing: "warn",
  Terminating: "warn",
  Unknown: "warn",
  Warning: "warn",
  Released: "warn",
  Failed: "bad",
  Error: "bad",
  False: "bad",
  NotReady: "bad",
  CrashLoopBackOff: "bad",
  ImagePullBackOff: "bad",
  ErrImagePull: "bad",
  OOMKilled: "bad",
  Evicted: "bad",
};

export function toneOf(word: string): Tone {
  const [first = ""] = word.split(",");
  if (tones[first]) return tones[first];
  if (/BackOff|Err|Fail|Invalid|Deadline/.test(word)) return "bad";
  if (word.startsWith("Init:") || word.includes("Disabled")) return "warn";
  return "idle";
}

export function Pill({ word, tone = toneOf(word) }: { readonly word: string; readonly tone?: Tone }) {
  return <span class={`pill ${tone}`}>{word}</span>;
}

/** A share as a bar, with its numbers in words. */
export function Meter({
  label,
  part,
  text,
}: {
  readonly label: string;
  readonly part: number | undefined;
  readonly text: string;
}) {
  const share = Math.min(1, Math.max(0, part ?? 0));
  const tone = part === undefined ? "idle" : share > 0.9 ? "bad" : share > 0.75 ? "warn" : "good";
  return (
    <div class="meter">
      <div class="meter-text">
        <span>{label}</span>
        <span class="number">{text}</span>
      </div>
      <meter class={tone} min={0} max={1} value={share} aria-label={`${label}: ${text}`} />
    </div>
  );
}

/** `2/3`: good when both are the same. */
export function readyTone(text: string): Tone {
  const [ready, wanted] = text.split("/").map(Number);
  if (ready === undefined || wanted === undefined || Number.isNaN(ready) || Number.isNaN(wanted)) return "idle";
  if (wanted === 0) return "idle";
  return ready >= wanted ? "good" : ready === 0 ? "bad" : "warn";
}
