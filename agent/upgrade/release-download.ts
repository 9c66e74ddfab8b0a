import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, open, rm, stat } from "node:fs/promises";
import { apiServerName } from "#shared/pki/join-protocol.ts";
import { checkSignature, parseSums, ReleaseError, signatureFile, sumsFile, versionFile } from "#shared/release/sums.ts";

/** Where the master hands out its release. */
const folder = "/bramble/v1/dist/";
const architecture = process.arch === "arm64" ? "arm64" : "x64";
const binaryName = `bramble-linux-${architecture}`;
/** A connection that brings nothing for so long is given up, */
const silence_ms = 30_000;
/** and after so many that brought nothing, in a row, the download. */
const mostIdle = 5;
const mostText_bytes = 64 * 1024;

export interface ReleaseSource {
  /** API servers in the order to be asked. */
  readonly servers: readonly string[];
  /** PEM of who certifies them. */
  readonly ca: string;
  readonly signal: AbortSignal;
}

/** What a master offers to this board, verified. */
export interface OfferedRelease {
  readonly server: string;
  readonly version: string;
  /** SHA-256 of the binary for this processor. */
  readonly sum: string;
}

/** Asks the masters in turn. Rejects with ReleaseError for a release that is incomplete or not signed as it must be. */
export async function offeredRelease(source: ReleaseSource): Promise<OfferedRelease> {
  let last: unknown = new ReleaseError("no master is known");
  for (const server of source.servers) {
    try {
      const sums = await fetchText(source, server, sumsFile);
      if (sums === undefined) throw new ReleaseError(`${server} has no release to hand out`);
      checkSignature(sums, await fetchText(source, server, signatureFile));
      const versionText = await fetchText(source, server, versionFile);
      const sumOf = parseSums(sums);
      if (versionText === undefined || sumOf.get(versionFile) !== sha256(versionText))
        throw new ReleaseError(`${server} does not say the version of its release: run a newer install.sh there`);
      const sum = sumOf.get(binaryName);
      if (sum === undefined)
        throw new ReleaseError(`${server} has no ${binaryName}: install a release with both processors there`);
      return { server, version: versionText.trim(), sum };
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/**
 * Downloads the program to `path`, executable, and goes on where a connection was cut. Rejects with ReleaseError when what
 * came is not what the release promises.
 */
export async function downloadProgram(source: ReleaseSource, release: OfferedRelease, path: string): Promise<void> {
  for (let idle = 0; ; ) {
    const before = await sizeOf(path);
    try {
      await append(source, `${release.server}${folder}${binaryName}`, path, before);
      break;
    } catch (error) {
      source.signal.throwIfAborted();
      idle = (await sizeOf(path)) > before ? 0 : idle + 1;
      if (idle >= mostIdle) throw error;
      await Bun.sleep(1_000 * (idle + 1));
    }
  }
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  if (hash.digest("hex") !== release.sum) {
    await rm(path, { force: true });
    throw new ReleaseError(`what came from ${release.server} does not match its ${sumsFile}`);
  }
  await chmod(path, 0o755);
}

/** Appends what is missing from `from_bytes` on, and syncs it. */
async function append(source: ReleaseSource, url: string, path: string, from_bytes: number): Promise<void> {
  const silent = new AbortController();
  const answer = await fetch(url, {
    headers: from_bytes > 0 ? { range: `bytes=${from_bytes}-` } : {},
    tls: { ca: source.ca, serverName: apiServerName },
    signal: AbortSignal.any([source.signal, silent.signal]),
  });
  // 416: all of it is there already.
  if (answer.status === 416) return;
  if (!answer.ok || !answer.body) throw new ReleaseError(`${url}: ${answer.status} ${answer.statusText}`);
  const file = await open(path, answer.status === 206 ? "a" : "w", 0o600);
  const giveUp = (): void => silent.abort(new ReleaseError(`${url}: nothing came for ${silence_ms / 1000} s`));
  let timer = setTimeout(giveUp, silence_ms);
  try {
    for await (const chunk of answer.body) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, silence_ms);
      await file.write(chunk);
    }
    await file.sync();
  } finally {
    clearTimeout(timer);
    await file.close();
  }
}

async function fetchText({ ca, signal }: ReleaseSource, server: string, name: string): Promise<string | undefined> {
  const timeout = AbortSignal.timeout(silence_ms);
  const answer = await fetch(`${server}${folder}${name}`, {
    tls: { ca, serverName: apiServerName },
    signal: AbortSignal.any([signal, timeout]),
  });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new ReleaseError(`${server}${folder}${name}: ${answer.status} ${answer.statusText}`);
  const text = await answer.text();
  if (text.length > mostText_bytes) throw new ReleaseError(`${server}${folder}${name} is too large for what it is`);
  return text;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );
