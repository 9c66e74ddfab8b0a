/** Probes and lifecycle hooks. */
import type {
  HTTPGetAction,
  Lifecycle,
  LifecycleHandler,
  PodSpec,
  Probe,
} from "#shared/api/types/core-v1.generated.ts";
import { type Field, nonNegative, oneOf } from "../../validation/field.ts";
import { isHttpHeaderName } from "../../validation/names.ts";
import { validatePortNumberOrName } from "../../validation/ports.ts";

function validateHttpGet({ path, port, scheme, httpHeaders }: HTTPGetAction, field: Field): void {
  if (!path) field.at("path").required();
  validatePortNumberOrName(port, field.at("port"));
  oneOf(scheme, ["HTTP", "HTTPS"], field.at("scheme"));
  for (const { name = "" } of httpHeaders ?? []) field.at("httpHeaders").invalidEach(name, isHttpHeaderName(name));
}

type Handler = Pick<Probe & LifecycleHandler, "exec" | "httpGet" | "tcpSocket" | "grpc" | "sleep">;

function validateHandler(handler: Handler, grace_s: number | undefined, field: Field): void {
  const checks: Record<keyof Handler, (at: Field) => void> = {
    exec: (at) => {
      if (!handler.exec?.command?.length) at.at("command").required();
    },
    httpGet: (at) => {
      if (handler.httpGet) validateHttpGet(handler.httpGet, at);
    },
    tcpSocket: (at) => validatePortNumberOrName(handler.tcpSocket?.port, at.at("port")),
    grpc: (at) => validatePortNumberOrName(handler.grpc?.port, at.at("port")),
    sleep: (at) => {
      const seconds = handler.sleep?.seconds ?? 0;
      if (grace_s !== undefined && (seconds < 0 || seconds > grace_s)) {
        at.invalid(seconds, `must be non-negative and less than terminationGracePeriodSeconds (${grace_s})`);
      }
    },
  };
  let count = 0;
  for (const [name, check] of Object.entries(checks)) {
    if (handler[name as keyof Handler] === undefined) continue;
    if (count > 0) field.at(name).forbidden("may not specify more than 1 handler type");
    else check(field.at(name));
    count++;
  }
  if (count === 0) field.required("must specify a handler type");
}

function validateProbe(probe: Probe, grace_s: number | undefined, field: Field): void {
  const { exec, httpGet, tcpSocket, grpc } = probe;
  validateHandler({ exec, httpGet, tcpSocket, grpc }, grace_s, field);
  const counts = [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ] as const;
  for (const key of counts) nonNegative(probe[key], field.at(key));
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    field.at("terminationGracePeriodSeconds").invalid(grace, "must be greater than 0");
  }
}

interface Probed {
  readonly livenessProbe?: Probe | undefined;
  readonly readinessProbe?: Probe | undefined;
  readonly startupProbe?: Probe | undefined;
}

export function validateProbes(container: Probed, grace_s: number | undefined, field: Field): void {
  for (const key of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = container[key];
    if (probe === undefined) continue;
    validateProbe(probe, grace_s, field.at(key));
    if (key === "readinessProbe") {
      const grace = probe.terminationGracePeriodSeconds;
      if (grace !== undefined) {
        field.at(key, "terminationGracePeriodSeconds").invalid(grace, "must not be set for readinessProbes");
      }
    } else if (probe.successThreshold !== 1) {
      field.at(key, "successThreshold").invalid(probe.successThreshold ?? 0, "must be 1");
    }
  }
}

const plainSignals =
  "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT RTMAX RTMIN SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ".split(
    " ",
  );
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const linuxSignals = [
  ...plainSignals,
  ...range(14).map((offset) => `RTMAX-${offset}`),
  ...range(15).map((offset) => `RTMIN+${offset}`),
]
  .map((name) => `SIG${name}`)
  .sort();

export function validateLifecycle(
  lifecycle: Lifecycle | undefined,
  grace_s: number | undefined,
  os: PodSpec["os"],
  field: Field,
): void {
  for (const key of ["postStart", "preStop"] as const) {
    const handler = lifecycle?.[key];
    if (handler) validateHandler(handler, grace_s, field.at(key));
  }
  const signal = lifecycle?.stopSignal;
  if (signal === undefined) return;
  const at = field.at("stopSignal");
  if (os === undefined) at.forbidden("may not be set for containers with empty `spec.os.name`");
  else if (os.name === "windows") oneOf(signal, ["SIGKILL", "SIGTERM"], at);
  else if (os.name === "linux") oneOf(signal, linuxSignals, at);
}
