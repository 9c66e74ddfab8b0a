/** A time as metav1.Time writes it: RFC 3339 in whole seconds. */
export const rfc3339 = (time_ms: number): string => `${new Date(time_ms).toISOString().slice(0, 19)}Z`;
