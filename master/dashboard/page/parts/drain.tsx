/** Empties a board as `kubectl drain --ignore-daemonsets --delete-emptydir-data` does. */
import { useState } from "preact/hooks";
import { type KubeObject, listPath, objectPath, pods } from "../api/objects.ts";
import { ApiError, getJson, patch, request } from "../api/request.ts";
import { Dialog } from "./dialog.tsx";
import { tell } from "./notes.tsx";
import { countOf } from "./words.ts";

interface Owned extends KubeObject {
  readonly status?: { readonly phase?: string };
}

const retry_ms = 5_000;
/** How often a pod that a disruption budget holds is tried. */
const tries = 24;

export function DrainButton({ path, name }: { readonly path: string; readonly name: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Drain
      </button>
      {isOpen && (
        <Dialog
          title={`Drain ${name}?`}
          action="Drain"
          danger
          close={() => setOpen(false)}
          act={async () => tell(await drain(path, name))}
        >
          <p>
            It takes no new pods, and those on it are evicted, as far as their disruption budgets allow; controllers
            replace them on other boards. Pods of DaemonSets stay. What pods keep in emptyDir volumes is lost.
          </p>
        </Dialog>
      )}
    </>
  );
}

/** @returns what was done, in words. Throws where a pod has to stay. */
async function drain(path: string, name: string): Promise<string> {
  await patch(path, { spec: { unschedulable: true } });
  const query = new URLSearchParams({ fieldSelector: `spec.nodeName=${name}` });
  const { items } = await getJson<{ items: Owned[] }>(`${listPath(pods)}?${query}`);
  const evicted = items.filter((pod) => !staysOnItsBoard(pod));
  // Nobody would make it again.
  const alone = evicted.filter((pod) => controllerOf(pod) === undefined && !hasEnded(pod));
  if (alone.length > 0) {
    const names = alone.map(({ metadata }) => metadata.name).join(", ");
    throw new Error(
      `${name} takes no new pods, and none was evicted: ${names} belong to no controller. Delete them first.`,
    );
  }
  await Promise.all(evicted.map(evict));
  return `${name} is drained: ${countOf(evicted.length, "pod")} evicted.`;
}

async function evict({ metadata }: Owned): Promise<void> {
  const { name, namespace = "" } = metadata;
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
  const post = (): Promise<Response> =>
    request(`${objectPath(pods, metadata)}/eviction`, {
      method: "POST",
      contentType: "application/json",
      body: JSON.stringify(eviction),
    });
  for (let left = tries; ; left -= 1) {
    try {
      await post();
      return;
    } catch (error) {
      if (error instanceof ApiError && error.isMissing) return;
      if (!(error instanceof ApiError && error.code === 429)) throw error;
      if (left <= 1) throw new Error(`A disruption budget holds ${namespace}/${name} back: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, retry_ms));
    }
  }
}

const controllerOf = ({ metadata }: Owned): string | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller)?.kind;

const hasEnded = ({ status }: Owned): boolean => status?.phase === "Succeeded" || status?.phase === "Failed";

/** A DaemonSet would bring it back at once, and a static pod is its board's own. */
const staysOnItsBoard = (pod: Owned): boolean =>
  controllerOf(pod) === "DaemonSet" || pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
