import { badRequest, internalError, type StatusError } from "#shared/api/errors.ts";
import type { ContainerStatus, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { PodName } from "./kubelet-server.ts";

/**
 * The runtime's id of the container whose log is shown, by the pod's status: the last that ended where none runs, and with
 * `previous` also while the next is waited for. As upstream's kubelet, StatusError included (validateContainerLogStatus in
 * pkg/kubelet/kubelet_pods.go).
 */
export function loggedContainer(pod: Pod, container: string, options: { readonly previous: boolean }): string {
  const what = `container "${container}" in pod "${pod.metadata.name}"`;
  const status = statusOf(pod, container);
  if (!status) throw badRequest(`${what} is not available`);
  const { state = {}, lastState } = status;
  const last = lastState?.terminated;
  if (options.previous) {
    if (last?.containerID) return runtimeId(last.containerID);
    throw badRequest(`previous terminated ${what} not found`);
  }
  if (state.running && status.containerID) return runtimeId(status.containerID);
  const ended = state.terminated?.containerID || last?.containerID;
  if (ended) return runtimeId(ended);
  if (state.terminated || last) throw badRequest(`${what} is terminated`);
  if (state.waiting) throw badRequest(`${what} is waiting to start: ${reasonToWait(state.waiting.reason ?? "")}`);
  throw badRequest(`${what} is waiting to start - no logs yet`);
}

function reasonToWait(reason: string): string {
  if (reason === "ErrImagePull") return "image can't be pulled";
  return reason === "ImagePullBackOff" ? "trying and failing to pull image" : reason;
}

/** What upstream's kubelet says where no container of that name runs that a command could run in. */
export const nothingToRunIn = (container: string): StatusError =>
  internalError(`unable to upgrade connection: container not found ("${container}")`);

/** What upstream's kubelet says where no container of that name runs that one could attach to. */
export const nothingToAttachTo = ({ namespace, name }: PodName, container: string): StatusError =>
  internalError(`unable to upgrade connection: container ${container} not found in pod ${name}_${namespace}`);

function statusOf({ status = {} }: Pod, container: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = status;
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(
    ({ name }) => name === container,
  );
}

/** Of `docker://ID`. */
const runtimeId = (containerID: string): string => containerID.replace(/^[a-z]+:\/\//, "");
