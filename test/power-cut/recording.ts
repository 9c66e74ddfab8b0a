import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DiskStep, readDiskLog, tracedCalls } from "./disk-log.ts";
import { type Chance, chanceOf, DiskModel, type Survival } from "./disk-model.ts";

/** A run whose writes are known one by one. */
export interface Recording {
  readonly root: string;
  readonly steps: readonly DiskStep[];
}

/**
 * Runs a program of this folder under strace; it gets a folder to work in, a file for its notes, and `more`. Rejects when
 * it fails, and when the steps that were read do not add up to the files that it left.
 */
export async function record(program: string, ...more: string[]): Promise<Recording> {
  const place = mkdtempSync(join(tmpdir(), "bramble-power-cut-"));
  try {
    const [root, notes, log] = [join(place, "disk"), join(place, "notes"), join(place, "strace")];
    mkdirSync(root, { mode: 0o700 });
    writeFileSync(notes, "");
    const strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", "100000000", "-o", log];
    const run = Bun.spawn({
      cmd: [
        ...strace,
        "-e",
        `trace=${tracedCalls}`,
        program.endsWith(".sh") ? "sh" : process.execPath,
        join(import.meta.dir, program),
        root,
        notes,
        ...more,
      ],
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text(), run.exited]);
    if (run.exitCode !== 0) throw new Error(`${program} ended with ${run.exitCode}:\n${said.join("\n")}`);
    const steps = readDiskLog(readFileSync(log, "latin1"), root, notes);
    const shown = join(place, "shown");
    const model = new DiskModel(root);
    for (const step of steps) model.apply(step);
    model.write(shown, "all", Math.random);
    const [real, modelled] = [contentBelow(root), contentBelow(shown)];
    for (const path of new Set([...real.keys(), ...modelled.keys()]))
      if (!real.get(path)?.equals(modelled.get(path) ?? Buffer.from("none")))
        throw new Error(`${path}: the log of system calls does not add up to what is there`);
    return { root, steps };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function contentBelow(folder: string): Map<string, Buffer> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.name.endsWith("-shm"),
  );
  return new Map(
    files.map(({ parentPath, name }) => [
      join(parentPath, name).slice(folder.length),
      readFileSync(join(parentPath, name)),
    ]),
  );
}

/** The power went after `step` steps. */
export interface Cut {
  readonly step: number;
  readonly survival: Survival;
  /** What the program had noted before. */
  readonly notes: readonly string[];
  readonly chance: Chance;
  toString(): string;
}

/**
 * Cuts the power at `count` points spread over a recording, and gives each disk to `look` in a folder of its own. What
 * survives alternates: nothing, some, all of what was not synced. The same seed cuts the same.
 */
export async function cutAt(
  { root, steps }: Recording,
  count: number,
  seed: number,
  look: (folder: string, cut: Cut) => Promise<void>,
): Promise<void> {
  const chance = chanceOf(seed);
  const points = Array.from({ length: count }, (_, n) => Math.floor(((n + chance()) / count) * (steps.length + 1)));
  const model = new DiskModel(root);
  const notes: string[] = [];
  let done = 0;
  for (const [index, step] of points.entries()) {
    for (; done < step; done++) {
      const next = steps[done];
      if (!next) break;
      model.apply(next);
      if (next.step === "note") notes.push(next.text);
    }
    const survival = (["nothing", "some", "some", "all"] as const)[index % 4] ?? "some";
    const place = mkdtempSync(join(tmpdir(), "bramble-power-cut-"));
    const cut = {
      step,
      survival,
      notes,
      chance,
      toString: () => `cut after step ${step} of ${steps.length}, ${survival} kept, seed ${seed}`,
    };
    try {
      model.write(join(place, "disk"), survival, chance);
      await look(join(place, "disk"), cut);
    } catch (error) {
      throw new Error(`${cut}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }
}
