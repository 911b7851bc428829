package interop;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** mqadmin 5.5.0 in this JVM: one start of Java for all commands. Compiled only where the tools jar is. */
public final class Admin {
  public static void register() {
    Main.SCENARIOS.put("mqadmin", Admin::mqadmin);
  }

  /** `arguments`: as on the command line, blank separated. Standard output is the result. */
  static void mqadmin(Args args, Map<String, Object> facts) throws Exception {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    ByteArrayOutputStream complained = new ByteArrayOutputStream();
    synchronized (Admin.class) {
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(complained, true, StandardCharsets.UTF_8));
      try {
        MQAdminStartup.initCommand();
        MQAdminStartup.main0(args.text("arguments").split(" "), null);
      } finally {
        System.out.flush();
        System.setOut(out);
        System.setErr(err);
      }
    }
    facts.put("out", printed.toString(StandardCharsets.UTF_8));
    facts.put("err", complained.toString(StandardCharsets.UTF_8));
  }
}
