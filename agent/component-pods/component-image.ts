import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";
import type { Log } from "#shared/client/log.ts";
import { version } from "#shared/version.ts";
import { fileImageArchive, type ImageEntry } from "../runtime/file-image.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";

const componentImageName = "bramble.local/bramble";
/** Where the program lies in the image. */
export const programInImage = "/usr/local/bin/bramble";

/** What components run beside the program itself; one that this board has not is left out. */
const tools = [
  "ip",
  "iptables",
  "iptables-save",
  "iptables-restore",
  "ip6tables",
  "ip6tables-save",
  "ip6tables-restore",
  "conntrack",
  "etcd",
];
const certificates = "/etc/ssl/certs/ca-certificates.crt";
const run = promisify(execFile);

/** A file of the image: from which file of this board, or to what it leads. */
type Content = { readonly file: string } | { readonly linkTarget: string };

/**
 * Makes the image that components run from, unless the board has it: this board's own program and tools with the
 * libraries that they load. No registry is asked. Rejects when the runtime does not take it.
 * @returns the image's reference, which changes with the files.
 */
export async function ensureComponentImage(runtime: ContainerRuntime, log: Log): Promise<string> {
  const contents = await imageContents();
  const reference = `${componentImageName}:${tagOf(version)}-${await fingerprint(contents)}`;
  const present = await runtime.listImages();
  if (present.some(({ tags }) => tags.includes(reference))) return reference;
  log.info("making the image of the components", { image: reference });
  const archive = await fileImageArchive({
    reference,
    architecture: { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch,
    entries: await entriesOf(contents),
    config: { Entrypoint: [programInImage], Env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
  });
  await runtime.loadImage(archive);
  return reference;
}

/** Takes the images of other versions away, as far as no container uses them. @returns whether none is left. */
export async function removeOtherImages(runtime: ContainerRuntime, current: string, log: Log): Promise<boolean> {
  const tags = (await runtime.listImages()).flatMap((image) => image.tags);
  let areGone = true;
  for (const tag of tags.filter((each) => each.startsWith(`${componentImageName}:`) && each !== current)) {
    try {
      // By its name: two versions of the same content are one image.
      await runtime.removeImage(tag);
      log.info("an image of another version was removed", { image: tag });
    } catch (error) {
      areGone = false;
      log.debug("an image of another version is still used", { image: tag, error });
    }
  }
  return areGone;
}

/** A tag may hold letters, digits, `.`, `_` and `-`. */
const tagOf = (text: string): string => text.replace(/[^\w.-]/g, ".");

/** By its path in the image, which is that on this board but for the program. */
async function imageContents(): Promise<Map<string, Content>> {
  const contents = new Map<string, Content>([[programInImage, { file: process.execPath }]]);
  for (const library of await librariesOf(process.execPath)) contents.set(library, { file: library });
  for (const tool of tools) {
    const path = Bun.which(tool, { PATH: "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin" });
    if (path === null) continue;
    const program = await realpath(path);
    // Whatever links lead to it here: some programs look at the name that they are called by.
    const called = `/usr/sbin/${tool}`;
    if (called !== program) contents.set(called, { linkTarget: program });
    contents.set(program, { file: program });
    for (const library of await librariesOf(program)) contents.set(library, { file: library });
  }
  for (const extension of await netfilterExtensions(contents)) contents.set(extension, { file: extension });
  if (existsSync(certificates)) contents.set(certificates, { file: certificates });
  return contents;
}

/** The loader and all libraries that a program is linked with; none of a static one. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run("ldd", [program]).catch((error: { stdout?: string; stderr?: string }) => {
    if (/not a dynamic executable|statically linked/.test(`${error.stdout}${error.stderr}`)) return { stdout: "" };
    throw error;
  });
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = ""]) => path);
}

/** What iptables loads when a rule needs it, from below /usr wherever its libraries are. */
async function netfilterExtensions(contents: ReadonlyMap<string, Content>): Promise<string[]> {
  const library = [...contents.keys()].find((path) => basename(path).startsWith("libxtables.so"));
  if (library === undefined) return [];
  const folder = `${dirname(library).replace(/^\/lib\//, "/usr/lib/")}/xtables`;
  if (!existsSync(folder)) return [];
  return (await readdir(folder)).filter((name) => name.endsWith(".so")).map((name) => `${folder}/${name}`);
}

/** Of the files' names, sizes and times: an upgrade of any of them makes another image. */
async function fingerprint(contents: ReadonlyMap<string, Content>): Promise<string> {
  const hash = createHash("sha256");
  for (const [path, content] of [...contents].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const seen = "file" in content ? await stat(content.file) : undefined;
    hash.update(JSON.stringify([path, content, seen?.size, seen?.mtimeMs]));
  }
  return hash.digest("hex").slice(0, 12);
}

async function entriesOf(contents: ReadonlyMap<string, Content>): Promise<ImageEntry[]> {
  const folders = new Set<string>(["etc", "run", "sys", "proc", "dev", "var/lib"]);
  const files: ImageEntry[] = [];
  for (const [path, content] of contents) {
    const inside = path.slice(1);
    for (let folder = dirname(inside); folder !== "."; folder = dirname(folder)) folders.add(folder);
    if ("file" in content)
      files.push({ path: inside, mode: (await stat(content.file)).mode & 0o755, file: content.file });
    else files.push({ path: inside, type: "symlink", linkTarget: content.linkTarget });
  }
  for (const folder of [...folders]) if (folder.includes("/")) folders.add(folder.split("/")[0] ?? "");
  const directories = [...folders].sort().map((path): ImageEntry => ({ path, type: "directory" }));
  return [
    ...directories,
    { path: "tmp", type: "directory", mode: 0o1777 },
    { path: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\n" },
    { path: "etc/group", content: "root:x:0:\n" },
    { path: "etc/nsswitch.conf", content: "hosts: files dns\n" },
    ...files,
  ];
}
