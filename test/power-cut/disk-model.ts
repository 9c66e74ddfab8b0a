/**
 * What may be on a disk after a power cut, stricter than any file system in use: content is there for certain only after
 * an fsync of the file, an entry of a folder only after one of the folder. Of everything younger any part may be missing:
 * single writes of a file, in any order and torn between sectors; entries of a folder from some point on.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import type { DiskStep } from "./disk-log.ts";

/** How much of what was not synced survives: nothing, all of it, or each part by chance. */
export type Survival = "nothing" | "all" | "some";

/** Gives numbers in [0, 1); the same ones for a seed. */
export type Chance = () => number;

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sector_bytes = 512;

type Change = { readonly at: number; readonly data: Buffer } | { readonly size: number };

class FileNode {
  readonly kind = "file";
  durable: Buffer = Buffer.alloc(0);
  pending: Change[] = [];
  #synced = 0;

  /** Changes so far. */
  get count(): number {
    return this.#synced + this.pending.length;
  }

  /** Up to where there were `count` changes. */
  sync(count = this.count): void {
    const synced = this.pending.splice(0, Math.max(0, count - this.#synced));
    this.durable = applied(this.durable, synced);
    this.#synced += synced.length;
  }

  after(survival: Survival, chance: Chance): Buffer {
    if (survival === "nothing") return this.durable;
    if (survival === "all") return applied(this.durable, this.pending);
    const kept = this.pending.filter(() => chance() < 0.5);
    const torn = kept.map((change) => {
      if (!("data" in change) || chance() < 0.8) return change;
      const sectors = Math.floor(change.data.length / sector_bytes);
      return { at: change.at, data: change.data.subarray(0, Math.floor(chance() * (sectors + 1)) * sector_bytes) };
    });
    return applied(this.durable, torn);
  }
}

type Entry = { readonly name: string; readonly node: FileNode | FolderNode | undefined };

class FolderNode {
  readonly kind = "folder";
  durable = new Map<string, FileNode | FolderNode>();
  pending: Entry[][] = [];

  /** Entries as programs see them. */
  get live(): Map<string, FileNode | FolderNode> {
    return entriesAfter(this.durable, this.pending);
  }

  sync(): void {
    this.durable = this.live;
    this.pending = [];
  }

  after(survival: Survival, chance: Chance): Map<string, FileNode | FolderNode> {
    if (survival === "nothing") return this.durable;
    if (survival === "all") return this.live;
    return entriesAfter(this.durable, this.pending.slice(0, Math.floor(chance() * (this.pending.length + 1))));
  }
}

export class DiskModel {
  readonly #top = new FolderNode();
  /** How many changes there were to the file when a barrier began. */
  readonly #begun = new Map<number, number>();

  constructor(private readonly root: string) {}

  apply(step: DiskStep): void {
    switch (step.step) {
      case "create":
        this.#change(dirname(step.path), [{ name: basename(step.path), node: new FileNode() }]);
        return;
      case "folder":
        this.#change(dirname(step.path), [{ name: basename(step.path), node: new FolderNode() }]);
        return;
      case "write":
        this.#file(step.path).pending.push({ at: step.at, data: step.data });
        return;
      case "truncate":
        this.#file(step.path).pending.push({ size: step.size });
        return;
      case "rename": {
        if (dirname(step.from) !== dirname(step.to)) throw new Error("a rename between folders is not modelled");
        const node = this.#folder(dirname(step.from)).live.get(basename(step.from));
        // One change: a file system does both halves or none.
        this.#change(dirname(step.to), [
          { name: basename(step.to), node },
          { name: basename(step.from), node: undefined },
        ]);
        return;
      }
      case "link":
        this.#change(dirname(step.to), [{ name: basename(step.to), node: this.#node(step.from) }]);
        return;
      case "remove":
        this.#change(dirname(step.path), [{ name: basename(step.path), node: undefined }]);
        return;
      case "sync begins": {
        const node = this.#node(step.path);
        if (node?.kind === "file") this.#begun.set(step.begun, node.count);
        return;
      }
      case "sync":
        this.#sync(this.#node(step.path), step.begun);
        return;
      case "sync everything":
        syncAll(this.#top);
        return;
      case "note":
        return;
    }
  }

  /** Writes to `folder` what the disk may show after a cut now. */
  write(folder: string, survival: Survival, chance: Chance): void {
    const place = (at: string, node: FolderNode): void => {
      mkdirSync(at, { recursive: true, mode: 0o700 });
      for (const [name, child] of node.after(survival, chance)) {
        if (child.kind === "folder") place(join(at, name), child);
        else writeFileSync(join(at, name), child.after(survival, chance), { mode: 0o600 });
      }
    };
    place(folder, this.#top);
  }

  #sync(node: FileNode | FolderNode | undefined, begun: number | undefined): void {
    if (begun === undefined || node?.kind !== "file") node?.sync();
    else node.sync(this.#begun.get(begun) ?? 0);
  }

  #change(folder: string, entries: Entry[]): void {
    this.#folder(folder).pending.push(entries);
  }

  #node(path: string): FileNode | FolderNode | undefined {
    let node: FileNode | FolderNode | undefined = this.#top;
    for (const part of relative(this.root, path).split("/")) {
      if (part === "") continue;
      node = node?.kind === "folder" ? node.live.get(part) : undefined;
    }
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#node(path);
    if (node?.kind !== "file") throw new Error(`the log writes to ${path}, which it did not make`);
    return node;
  }

  #folder(path: string): FolderNode {
    const node = this.#node(path);
    if (node?.kind !== "folder") throw new Error(`the log uses the folder ${path}, which it did not make`);
    return node;
  }
}

function syncAll(folder: FolderNode): void {
  folder.sync();
  for (const child of folder.durable.values()) {
    if (child.kind === "folder") syncAll(child);
    else child.sync();
  }
}

function entriesAfter(
  before: ReadonlyMap<string, FileNode | FolderNode>,
  changes: readonly Entry[][],
): Map<string, FileNode | FolderNode> {
  const entries = new Map(before);
  for (const { name, node } of changes.flat()) {
    if (node) entries.set(name, node);
    else entries.delete(name);
  }
  return entries;
}

function applied(before: Buffer, changes: readonly Change[]): Buffer {
  let content = Buffer.from(before);
  for (const change of changes) {
    const end = "data" in change ? change.at + change.data.length : change.size;
    // What lies between the old end and a write behind it reads as zeros.
    if (content.length < end) content = Buffer.concat([content, Buffer.alloc(end - content.length)]);
    if ("data" in change) change.data.copy(content, change.at);
    else content = content.subarray(0, change.size);
  }
  return content;
}
