package programs;

import java.util.concurrent.Callable;

/** What a client found, a line a step, so that it can be laid beside what it finds at another API server. */
final class Transcript {
  private Transcript() {}

  /** Tells what the work comes to, or how it fails: one step that fails does not hide the others. */
  static <T> T attempt(String step, Callable<T> work) {
    try {
      T outcome = work.call();
      say(step, outcome);
      return outcome;
    } catch (Throwable error) {
      error.printStackTrace();
      say(step, error.getClass().getSimpleName() + ": " + error.getMessage());
      return null;
    }
  }

  static void say(String step, Object outcome) {
    System.out.println(step + ": " + settled(String.valueOf(outcome)));
  }

  /** Without what differs between two clusters that behave alike. */
  private static String settled(String text) {
    return text.replaceAll("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "…")
        .replaceAll("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z", "…")
        .replaceAll("https://[^/ ]+/", "https://…/")
        .replace('\n', ' ');
  }
}
