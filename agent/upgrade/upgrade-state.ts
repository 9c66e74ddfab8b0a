import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";

/** What a board keeps of its upgrades. */
export interface UpgradeState {
  /** The version of the program that it can go back to. */
  readonly previous?: string;
  /** A program that has not shown yet that it can do the work of the one before. */
  readonly trial?: { readonly from: string; readonly to: string; readonly starts: number };
  /** The last version that was tried in vain. */
  readonly failure?: { readonly version: string; readonly message: string };
}

/** A program that was started this often without ever being well is given up. */
const mostStarts = 3;

export type StartVerdict =
  /** Nothing is on trial. */
  | { readonly kind: "usual" }
  /** This program is on trial; `next` counts this start. */
  | { readonly kind: "trial"; readonly next: UpgradeState }
  /** This program had its chances: the one before is to be put back. */
  | { readonly kind: "revert"; readonly next: UpgradeState }
  /** Something else runs than what was tried. */
  | { readonly kind: "settled"; readonly next: UpgradeState };

/** What a start of `version` means (pure). */
export function judgeStart(state: UpgradeState, version: string): StartVerdict {
  const { trial } = state;
  if (!trial) return { kind: "usual" };
  if (version !== trial.to) return { kind: "settled", next: withoutTrial(state) };
  if (trial.starts >= mostStarts) {
    return { kind: "revert", next: failed(state, `it was started ${trial.starts} times and was never well`) };
  }
  return { kind: "trial", next: { ...state, trial: { ...trial, starts: trial.starts + 1 } } };
}

/** The trial ends in vain; the board goes back to what it ran before. */
export function failed(state: UpgradeState, message: string): UpgradeState {
  const { trial } = state;
  const { previous: _, ...rest } = withoutTrial(state);
  return trial ? { ...rest, failure: { version: trial.to, message } } : state;
}

/** The program on trial is well. */
export function passed(state: UpgradeState): UpgradeState {
  const { trial } = state;
  return trial ? { ...withoutFailure(withoutTrial(state)), previous: trial.from } : state;
}

export function withoutFailure({ failure: _, ...rest }: UpgradeState): UpgradeState {
  return rest;
}

function withoutTrial({ trial: _, ...rest }: UpgradeState): UpgradeState {
  return rest;
}

/** The state on the card; what cannot be read is as good as none. */
export class UpgradeFile {
  readonly #path: string;

  constructor(dataDir: string) {
    this.#path = join(dataDir, "agent", "upgrade.json");
  }

  async read(): Promise<UpgradeState> {
    const text = await readIfPresent(this.#path);
    if (text === undefined) return {};
    try {
      return JSON.parse(text) as UpgradeState;
    } catch {
      // A damaged file must not keep the board from its work.
      return {};
    }
  }

  write(state: UpgradeState): Promise<void> {
    return writeSecureFile(this.#path, JSON.stringify(state));
  }
}
