import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerRuntime, ImageAuth, ImageStatus } from "#agent/runtime/runtime.ts";
import type { Pod, Secret } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import { silentLog } from "#shared/client/log.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { PodEvents } from "../pod-events.ts";
import type { CredentialProviders } from "./credential-providers.ts";
import { ImagePuller } from "./image-puller.ts";
import { type ImageVerification, PullRecords } from "./pull-records.ts";
import { PullTimes } from "./pull-times.ts";

const image = "registry.example.com/team/app:1";
const id = "sha256:1111";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pulls-"));
});
afterEach(() => rm(folder, { recursive: true }));

const records = (verification?: ImageVerification): Promise<PullRecords> =>
  PullRecords.open(join(folder, "image-pulls.json"), silentLog, verification);

function secret(name: string, password: string, uid = name): Secret {
  const config = { auths: { "registry.example.com": { username: "u", password } } };
  const text = Buffer.from(JSON.stringify(config)).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: "default", uid },
    data: { ".dockerconfigjson": text },
  };
}

/** A registry that opens to one password, or to all, and a board that may have the image already. */
class Board {
  present: ImageStatus | undefined;
  readonly pulls: (string | undefined)[] = [];
  onPull: (() => Promise<void>) | undefined;

  constructor(public password: string | undefined) {}

  get runtime(): ContainerRuntime {
    return {
      imageStatus: async () => this.present,
      pullImage: async (_: string, auth: ImageAuth | undefined) => {
        this.pulls.push(auth?.password);
        await this.onPull?.();
        if (this.password !== undefined && auth?.password !== this.password) throw new Error("denied");
        this.present = { id, tags: [image], digests: [], size_bytes: 1 } as unknown as ImageStatus;
        return id;
      },
    } as unknown as ContainerRuntime;
  }
}

/** What comes of a pod that wants the image: its name of the error, or nothing. */
async function start(
  board: Board,
  known: PullRecords,
  secrets: readonly Secret[] = [],
  imagePullPolicy = "IfNotPresent",
  providers?: CredentialProviders,
): Promise<string | undefined> {
  const container = { name: "main", image, imagePullPolicy };
  const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec: { containers: [container] } };
  const recorder = { record: () => undefined } as unknown as EventRecorder;
  const puller = new ImagePuller(board.runtime, providers, known);
  try {
    await puller.ensure(pod, container, async () => secrets, new PodEvents(recorder, pod));
    return undefined;
  } catch (error) {
    return (error as { reason?: string }).reason ?? String(error);
  }
}

test("an image that one pod's secret has opened is not another's, also after a restart", async () => {
  const board = new Board("right");
  expect(await start(board, await records(), [secret("own", "right")])).toBeUndefined();
  for (const known of [await records(), await records()]) {
    expect(await start(board, known)).toBe("ErrImagePull");
    expect(await start(board, known, [secret("other", "wrong")])).toBe("ErrImagePull");
    // Not even that it is there is told.
    expect(await start(board, known, [], "Never")).toBe("ErrImageNeverPull");
  }
  board.pulls.length = 0;
  expect(await start(board, await records(), [secret("own", "right")])).toBeUndefined();
  expect(await start(board, await records(), [secret("own", "right")], "Never")).toBeUndefined();
  expect(board.pulls).toEqual([]);
});

test("another secret that says the same, and the same that says something new, open it too", async () => {
  const board = new Board("right");
  const known = await records();
  await start(board, known, [secret("own", "right")]);
  expect(await start(board, known, [secret("copy", "right")])).toBeUndefined();
  expect(await start(board, known, [secret("own", "rotated")])).toBeUndefined();
  expect(await start(board, await records(), [secret("copy", "rotated too")])).toBeUndefined();
  // One of that name which was made anew is another.
  expect(await start(board, known, [secret("own", "guessed", "new")])).toBe("ErrImagePull");
  expect(board.pulls).toEqual(["right", "guessed"]);
});

test("an image that needed no secret is everybody's, and so is one that was there before", async () => {
  const open = new Board(undefined);
  const known = await records();
  await start(open, known);
  expect(await start(open, known, [], "Never")).toBeUndefined();
  expect(open.pulls).toEqual([undefined]);
  await rm(join(folder, "image-pulls.json"));
  const loaded = new Board("right");
  loaded.present = open.present;
  expect(await start(loaded, await records())).toBeUndefined();
  expect(loaded.pulls).toEqual([]);
});

test("a pod that proves at the registry that it may has the image from then on", async () => {
  const board = new Board("first");
  const known = await records();
  await start(board, known, [secret("own", "first")]);
  board.password = "second";
  expect(await start(board, known, [secret("other", "second")])).toBeUndefined();
  board.password = "third";
  expect(await start(board, known, [secret("other", "second")])).toBeUndefined();
  expect(await start(board, known, [secret("own", "first")])).toBeUndefined();
});

test("what a pull brought whose end nobody saw is not taken for what was there before", async () => {
  const board = new Board("right");
  await (await records()).begin(image);
  board.present = { id, tags: [image], digests: [], size_bytes: 1 } as unknown as ImageStatus;
  const known = await records();
  expect(await start(board, known)).toBe("ErrImagePull");
  expect(await start(board, await records(), [secret("own", "right")])).toBeUndefined();
  expect(await start(board, await records())).toBe("ErrImagePull");
});

test("of images that have gone nothing is kept", async () => {
  const board = new Board("right");
  const known = await records();
  await start(board, known, [secret("own", "right")]);
  await known.begin("registry.example.com/lost:1");
  const later = await records();
  await later.retain(board.present ? [board.present] : []);
  expect(await start(board, later)).toBe("ErrImagePull");
  await later.retain([]);
  expect(JSON.parse(await Bun.file(join(folder, "image-pulls.json")).text())).toEqual({ pulled: {}, begun: [] });
});

/** Nothing can be written there any more: a folder is in the file's place. */
async function spoil(): Promise<void> {
  await rm(join(folder, "image-pulls.json"), { force: true });
  await mkdir(join(folder, "image-pulls.json", "in-the-way"), { recursive: true });
}

test("a pull that came to its end counts though that cannot be written, and so does all that follows", async () => {
  const board = new Board("right");
  const known = await records();
  board.onPull = spoil;
  expect(await start(board, known, [secret("own", "right")])).toBeUndefined();
  expect(await start(board, known, [secret("copy", "right")])).toBeUndefined();
  expect(await start(board, known)).toBe("ErrImagePull");
  expect(board.pulls).toEqual(["right"]);
  await known.retain([]);
});

test("a pull whose beginning cannot be written fails as others do, before it asks the registry", async () => {
  const board = new Board("right");
  const known = await records();
  await spoil();
  expect(await start(board, known, [secret("own", "right")])).toBe("ErrImagePull");
  expect(board.pulls).toEqual([]);
  await rm(join(folder, "image-pulls.json"), { recursive: true });
  expect(await start(board, known, [secret("own", "right")])).toBeUndefined();
});

test("pods that pull one image together have it written when the first begins, when it is there, and when the last has it", async () => {
  const known = await records();
  const file = async (): Promise<number> => (await stat(join(folder, "image-pulls.json"))).ino;
  for (let n = 0; n < 4; n++) await known.begin(image);
  const begun = await file();
  await known.pulled(image, id, undefined);
  const there = await file();
  expect(there).not.toBe(begun);
  await known.pulled(image, id, undefined);
  await known.pulled(image, id, undefined);
  expect(await file()).toBe(there);
  await known.pulled(image, id, undefined);
  expect(JSON.parse(await Bun.file(join(folder, "image-pulls.json")).text()).begun).toEqual([]);
});

test("whether an image that was there before is everybody's is to be set", async () => {
  const outcome = async (
    policy: ImageVerification["policy"],
    allowlist: string[] = [],
  ): Promise<string | undefined> => {
    const board = new Board("right");
    board.present = { id, tags: [image], digests: [], size_bytes: 1 } as unknown as ImageStatus;
    return start(board, await records({ policy, allowlist }), [], "Never");
  };
  expect(await outcome("NeverVerifyPreloadedImages")).toBeUndefined();
  expect(await outcome("AlwaysVerify")).toBe("ErrImageNeverPull");
  expect(await outcome("NeverVerifyAllowlistedImages")).toBe("ErrImageNeverPull");
  expect(await outcome("NeverVerifyAllowlistedImages", ["registry.example.com/team/app"])).toBeUndefined();
  expect(await outcome("NeverVerifyAllowlistedImages", ["registry.example.com/team/*"])).toBeUndefined();
  expect(await outcome("NeverVerifyAllowlistedImages", ["registry.example.com/te/*"])).toBe("ErrImageNeverPull");
  await start(new Board("right"), await records(), [secret("own", "right")]);
  expect(await outcome("NeverVerify")).toBeUndefined();
});

test("an image that a service account has opened is for pods of that account", async () => {
  const board = new Board("right");
  const known = await records();
  const by = async (name: string): Promise<string | undefined> => {
    const account = { uid: `uid-of-${name}`, namespace: "default", name };
    const password = name === "robot" ? "right" : "wrong";
    const config = { auths: { "registry.example.com": { username: "u", password } } };
    const providers = { configsFor: async () => [{ config, account }] } as unknown as CredentialProviders;
    return start(board, known, [], "IfNotPresent", providers);
  };
  expect(await by("robot")).toBeUndefined();
  expect(await by("other")).toBe("ErrImagePull");
  expect(await start(board, known)).toBe("ErrImagePull");
  board.pulls.length = 0;
  expect(await by("robot")).toBeUndefined();
  expect(board.pulls).toEqual([]);
});

test("how long pulls take is told by the image's size", () => {
  const times = new PullTimes();
  times.pulled(0, 500);
  times.pulled(11 * 1024 ** 2, 7_000);
  const page = renderPrometheus(times.families());
  expect(page).toContain('kubelet_image_pull_duration_seconds_bucket{image_size_in_bytes="N/A",le="1"} 1');
  expect(page).toContain('kubelet_image_pull_duration_seconds_bucket{image_size_in_bytes="10MB-100MB",le="5"} 0');
  expect(page).toContain('kubelet_image_pull_duration_seconds_bucket{image_size_in_bytes="10MB-100MB",le="10"} 1');
});
