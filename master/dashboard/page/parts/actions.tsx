/** What can be done to an object from its line or its page. */
import { useState } from "preact/hooks";
import { type Metadata, objectPath, type Resource } from "../api/objects.ts";
import { getJson, patch, request } from "../api/request.ts";
import { Dialog } from "./dialog.tsx";
import { tell, tellFault } from "./notes.tsx";

interface ActionProps {
  readonly resource: Resource;
  readonly metadata: Metadata;
}

const scalable = new Set(["deployments", "statefulsets", "replicasets", "replicationcontrollers"]);
const restartable = new Set(["deployments", "statefulsets", "daemonsets"]);

/** Buttons that fit the kind. */
export function Actions({ resource, metadata, gone }: ActionProps & { gone?(): void }) {
  const [open, setOpen] = useState<"scale" | "restart" | "delete">();
  const { group, plural, kind, verbs } = resource;
  const { name } = metadata;
  const path = objectPath(resource, metadata);
  const close = (): void => setOpen(undefined);
  const isWorkload = group === "apps" || plural === "replicationcontrollers";
  return (
    <span class="actions">
      {isWorkload && scalable.has(plural) && (
        <button type="button" onClick={() => setOpen("scale")}>
          Scale<span class="hidden"> {name}</span>
        </button>
      )}
      {isWorkload && restartable.has(plural) && (
        <button type="button" onClick={() => setOpen("restart")}>
          Restart<span class="hidden"> {name}</span>
        </button>
      )}
      {verbs.includes("delete") && (
        <button type="button" class="quiet-danger" onClick={() => setOpen("delete")}>
          Delete<span class="hidden"> {name}</span>
        </button>
      )}
      {open === "scale" && <ScaleDialog path={path} name={name} kind={kind} close={close} />}
      {open === "restart" && (
        <Dialog
          title={`Restart ${name}?`}
          action="Restart"
          close={close}
          act={async () => {
            await restart(path);
            tell(`${name} restarts: its pods are replaced one after the other.`);
          }}
        >
          <p>Its pods are replaced as in a rollout, so it goes on serving if it has more than one.</p>
        </Dialog>
      )}
      {open === "delete" && (
        <Dialog
          title={`Delete ${kind} ${name}?`}
          action="Delete"
          danger
          close={close}
          act={async () => {
            await request(path, {
              method: "DELETE",
              contentType: "application/json",
              body: JSON.stringify({ kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Background" }),
            });
            tell(`${kind} ${name} is being deleted.`);
            gone?.();
          }}
        >
          <p>
            This deletes it{metadata.namespace ? ` from ${metadata.namespace}` : ""}, and what it owns with it. It
            cannot be undone.
          </p>
        </Dialog>
      )}
    </span>
  );
}

function restart(path: string): Promise<Response> {
  const annotations = { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() };
  return patch(path, { spec: { template: { metadata: { annotations } } } }, "application/strategic-merge-patch+json");
}

interface ScaleProps {
  readonly path: string;
  readonly name: string;
  readonly kind: string;
  close(): void;
}

function ScaleDialog({ path, name, kind, close }: ScaleProps) {
  const [replicas, setReplicas] = useState<number>();
  if (replicas === undefined) {
    getJson<{ spec?: { replicas?: number } }>(`${path}/scale`).then(
      ({ spec }) => setReplicas(spec?.replicas ?? 0),
      (error: unknown) => {
        tellFault(error);
        close();
      },
    );
    return null;
  }
  return (
    <Dialog
      title={`Scale ${name}`}
      action="Scale"
      close={close}
      act={async () => {
        await patch(`${path}/scale`, { spec: { replicas } });
        tell(`${name} is scaled to ${replicas}.`);
      }}
    >
      <label class="field">
        <span>Replicas of this {kind}</span>
        <input
          type="number"
          min={0}
          max={10_000}
          required
          value={replicas}
          onInput={(event) => setReplicas(event.currentTarget.valueAsNumber || 0)}
        />
      </label>
    </Dialog>
  );
}

/** Keeps new pods from a board, or lets them come again. */
export function CordonButton({
  path,
  name,
  unschedulable,
}: {
  readonly path: string;
  readonly name: string;
  readonly unschedulable: boolean;
}) {
  const act = (): void => {
    patch(path, { spec: { unschedulable: !unschedulable } }).then(
      () => tell(unschedulable ? `${name} takes pods again.` : `${name} takes no new pods; those on it go on.`),
      tellFault,
    );
  };
  return (
    <button type="button" onClick={act}>
      {unschedulable ? "Uncordon" : "Cordon"}
    </button>
  );
}
