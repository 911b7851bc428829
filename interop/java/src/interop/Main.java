package interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One JVM for many scenarios. Each line of standard input is `ID SCENARIO key=value ...`; each answer is one line
 * `RESULT ID {json}`. Scenarios run in their own threads, so that a load can run while the server is killed.
 */
public final class Main {
  interface Scenario {
    void run(Args args, Map<String, Object> facts) throws Exception;
  }

  static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();

  public static void main(String[] argv) throws Exception {
    Sends.register();
    Consumes.register();
    Groups.register();
    Pulls.register();
    Refusals.register();
    Flows.register();
    Loads.register();
    Stores.register();
    try {
      // Only compiled where the tools jar is.
      Class.forName("interop.Admin").getMethod("register").invoke(null);
    } catch (ClassNotFoundException absent) {
    }
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    say("READY " + String.join(" ", SCENARIOS.keySet()));
    for (String line; (line = lines.readLine()) != null; ) {
      if (line.isBlank()) continue;
      Args args = new Args(line);
      Thread thread = new Thread(() -> run(args), "scenario-" + args.scenario);
      thread.setDaemon(true);
      thread.start();
    }
    // Standard input closed: the runner is gone or done, and client threads must not keep the JVM.
    Runtime.getRuntime().halt(0);
  }

  private static void run(Args args) {
    Map<String, Object> facts = new LinkedHashMap<>();
    try {
      Scenario scenario = SCENARIOS.get(args.scenario);
      if (scenario == null) throw new Failed("no such scenario: " + args.scenario);
      scenario.run(args, facts);
      facts.put("ok", true);
    } catch (Throwable thrown) {
      Throwable cause = thrown instanceof InvocationTargetException ? thrown.getCause() : thrown;
      facts.put("ok", false);
      facts.put("error", cause instanceof Failed ? cause.getMessage() : describe(cause));
    } finally {
      Clients.closeAll(args.id);
    }
    say("RESULT " + args.id + " " + Json.write(facts));
  }

  /** Class, message and the first frames of every cause: enough to see what the client saw. */
  static String describe(Throwable thrown) {
    StringBuilder text = new StringBuilder();
    for (Throwable at = thrown; at != null && text.length() < 3000; at = at.getCause()) {
      if (at != thrown) text.append("\n  caused by ");
      text.append(at);
      StackTraceElement[] frames = at.getStackTrace();
      for (int i = 0; i < Math.min(frames.length, 4); i++) text.append("\n    at ").append(frames[i]);
    }
    return text.toString();
  }

  private static final java.io.PrintStream OUT = System.out;

  static void say(String line) {
    synchronized (OUT) {
      OUT.println(line);
      OUT.flush();
    }
  }
}

/** A scenario found something else than it should: the message is the whole story, no stack needed. */
final class Failed extends RuntimeException {
  Failed(String message) {
    super(message);
  }

  static void when(boolean wrong, String message) {
    if (wrong) throw new Failed(message);
  }

  static void unlessEqual(Object wanted, Object got, String what) {
    if (!wanted.equals(got)) throw new Failed(what + ": wanted " + wanted + ", got " + got);
  }
}

/** `ID SCENARIO key=value ...`; values are percent-encoded. */
final class Args {
  final String id;
  final String scenario;
  private final Map<String, String> values = new LinkedHashMap<>();

  Args(String line) {
    String[] words = line.trim().split(" +");
    id = words[0];
    scenario = words[1];
    for (int i = 2; i < words.length; i++) {
      int equals = words[i].indexOf('=');
      values.put(words[i].substring(0, equals),
          java.net.URLDecoder.decode(words[i].substring(equals + 1), StandardCharsets.UTF_8));
    }
  }

  String text(String key) {
    String value = values.get(key);
    if (value == null) throw new Failed(scenario + " needs " + key + "=");
    return value;
  }

  String text(String key, String otherwise) {
    return values.getOrDefault(key, otherwise);
  }

  int number(String key, int otherwise) {
    return values.containsKey(key) ? Integer.parseInt(values.get(key)) : otherwise;
  }

  String nameServer() {
    return text("ns");
  }

  /** A topic or group name that no other scenario of this run, client or repetition uses. */
  String fresh(String name) {
    return name + "_" + text("run", "0") + "_" + id;
  }
}

final class Json {
  static String write(Object value) {
    StringBuilder out = new StringBuilder();
    write(out, value);
    return out.toString();
  }

  private static void write(StringBuilder out, Object value) {
    if (value == null || value instanceof Boolean || value instanceof Number) {
      out.append(value);
    } else if (value instanceof Map) {
      out.append('{');
      String comma = "";
      for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
        out.append(comma);
        write(out, entry.getKey().toString());
        out.append(':');
        write(out, entry.getValue());
        comma = ",";
      }
      out.append('}');
    } else if (value instanceof Iterable) {
      out.append('[');
      String comma = "";
      for (Object element : (Iterable<?>) value) {
        out.append(comma);
        write(out, element);
        comma = ",";
      }
      out.append(']');
    } else {
      out.append('"');
      for (char c : value.toString().toCharArray()) {
        if (c == '"' || c == '\\') out.append('\\').append(c);
        else if (c < 32 || c > 126) out.append(String.format("\\u%04x", (int) c));
        else out.append(c);
      }
      out.append('"');
    }
  }
}
