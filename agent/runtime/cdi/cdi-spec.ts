/** The files by which vendors describe devices for containers (Container Device Interface 1.0,
 *  github.com/cncf-tags/container-device-interface). */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { ifPresent } from "#shared/files/if-present.ts";

/** Those of a later folder count before those of an earlier one. */
export const cdiFolders = ["/etc/cdi", "/var/run/cdi"] as const;

export interface DeviceNode {
  readonly path: string;
  readonly hostPath?: string | undefined;
  readonly permissions?: string | undefined;
}

export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly type?: string | undefined;
  readonly options?: readonly string[] | undefined;
}

/** What a device does to a container. */
export interface ContainerEdits {
  readonly env?: readonly string[] | undefined;
  readonly deviceNodes?: readonly DeviceNode[] | undefined;
  readonly mounts?: readonly CdiMount[] | undefined;
  readonly hooks?: readonly { readonly hookName: string; readonly path: string }[] | undefined;
  readonly additionalGids?: readonly number[] | undefined;
  readonly netDevices?: readonly object[] | undefined;
  readonly intelRdt?: object | undefined;
}

export interface CdiSpec {
  readonly kind: string;
  readonly containerEdits?: ContainerEdits | undefined;
  readonly devices: readonly { readonly name: string; readonly containerEdits?: ContainerEdits | undefined }[];
}

/** A description and its place in the order of folders. */
export interface FoundSpec {
  readonly priority: number;
  readonly path: string;
  readonly spec: CdiSpec;
}

/** All descriptions that can be read. One that cannot is left out, as in CDI's own library, and told of. */
export async function readCdiSpecs(
  folders: readonly string[],
  onBroken: (path: string, error: Error) => void,
): Promise<FoundSpec[]> {
  const found: FoundSpec[] = [];
  for (const [priority, folder] of folders.entries()) {
    for (const name of (await namesIn(folder)).toSorted()) {
      if (!/\.(json|yaml)$/.test(name)) continue;
      const path = join(folder, name);
      try {
        found.push({ priority, path, spec: asSpec(parse(await readFile(path, "utf8"))) });
      } catch (error) {
        onBroken(path, error as Error);
      }
    }
  }
  return found;
}

/** Throws Error for what is no description. */
function asSpec(value: unknown): CdiSpec {
  const { cdiVersion, kind, devices } = (value ?? {}) as Partial<CdiSpec> & { readonly cdiVersion?: unknown };
  if (typeof cdiVersion !== "string" || typeof kind !== "string" || !Array.isArray(devices))
    throw new Error("this is no CDI specification");
  return value as CdiSpec;
}

const namesIn = async (folder: string): Promise<string[]> => (await ifPresent(readdir(folder))) ?? [];
