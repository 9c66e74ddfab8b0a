import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { type ComponentPod, renderComponentPod } from "#shared/board/component-pod.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import type { Log } from "#shared/client/log.ts";
import { ifPresentSync, readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import type { Part } from "#shared/process/parts.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import { ensureComponentImage, programInImage, removeOtherImages } from "./component-image.ts";

/** The first line of a manifest that is this program's to change and to remove. */
const mark = "# Written by bramble --as-pods; changes are lost.\n";
const retry_ms = 5_000;
/** The image of before goes once the pods that use it have been replaced. */
const sweeps = { most: 30, first_ms: 5_000, longest_ms: 60_000 } as const;

export interface ComponentPodsOptions {
  readonly runtime: ContainerRuntime;
  /** Of static pods. */
  readonly folder: string;
  readonly components: readonly ComponentPod[];
  readonly log: Log;
}

/** Keeps the components of this board as static pods: makes their image, and writes their manifests, which the kubelet
 *  follows. What stands there from before runs meanwhile, with the runtime's image of before. */
export function startComponentPods(options: ComponentPodsOptions): Part {
  const ending = new AbortController();
  const running = keep(options, ending.signal).catch((error: unknown) => {
    if (!ending.signal.aborted) options.log.error("components as pods", { error });
  });
  return {
    async stop() {
      ending.abort();
      await running;
    },
  };
}

async function keep({ runtime, folder, components, log }: ComponentPodsOptions, signal: AbortSignal): Promise<void> {
  let image: string | undefined;
  for (let failures = 0; image === undefined && !signal.aborted; failures++) {
    try {
      image = await ensureComponentImage(runtime, log);
    } catch (error) {
      if (failures % 12 === 0) log.warn("the image of the components could not be made; trying again", { error });
      await pause(systemClock, retry_ms, signal);
    }
  }
  if (image === undefined) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const wanted = new Map(components.map((each) => [`${each.name}.yaml`, each]));
  for (const [file, component] of wanted) {
    const text = mark + stringify(renderComponentPod(component, image, programInImage));
    if ((await readIfPresent(join(folder, file))) !== text) await writeSecureFile(join(folder, file), text);
  }
  for (const file of ownManifests(folder)) if (!wanted.has(file)) await rm(join(folder, file));
  for (let sweep = 0; sweep < sweeps.most && !signal.aborted; sweep++) {
    await pause(systemClock, exponentialDelay_ms(sweep, sweeps.first_ms, sweeps.longest_ms), signal);
    if (signal.aborted || (await removeOtherImages(runtime, image, log))) return;
  }
}

/** Names of the manifests in the folder that this program wrote. */
function ownManifests(folder: string): string[] {
  const names = ifPresentSync(() => readdirSync(folder)) ?? [];
  return names.filter((name) => name.endsWith(".yaml") && readFileSync(join(folder, name), "utf8").startsWith(mark));
}

/** Ends what an earlier run had as pods, so that this one can be that itself: manifests first, or the pods came back.
 *  Resolves when their containers have ended. */
export async function removeComponentPods(
  folder: string,
  makeRuntime: () => Promise<ContainerRuntime>,
  log: Log,
): Promise<void> {
  const files = ownManifests(folder);
  if (files.length === 0) return;
  const names = files.map((file) => file.replace(/\.yaml$/, ""));
  log.info("components were pods before: ending those", { pods: names.join(",") });
  const runtime = await makeRuntime();
  // Containers first: should the runtime not answer, the next start finds the manifests.
  for (const { id, pod, name } of await runtime.listContainers()) {
    if (pod.namespace !== "kube-system" || !names.includes(name)) continue;
    await runtime.stopContainer(id, stopGrace_s);
    await runtime.removeContainer(id);
  }
  for (const file of files) await rm(join(folder, file));
}

const stopGrace_s = 30;
