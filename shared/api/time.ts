/** A time as metav1.Time writes it: RFC 3339 in whole seconds, in UTC. */
export const rfc3339 = (time_ms: number): string => `${new Date(time_ms).toISOString().slice(0, 19)}Z`;

/** A time as metav1.MicroTime writes it: RFC 3339 with six digits of a second. @param time_ms may have a fraction. */
export function rfc3339Micro(time_ms: number): string {
  const whole_ms = Math.floor(time_ms);
  const micros = Math.floor((time_ms - whole_ms) * 1000);
  return `${new Date(whole_ms).toISOString().slice(0, 23)}${String(micros).padStart(3, "0")}Z`;
}

/** The earliest of these times or delays, as far as there are any; undefined without one. */
export function earliest(times: Iterable<number | undefined>): number | undefined {
  let first: number | undefined;
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time;
  return first;
}
