#include "exercise/test.hpp"

#include <06-inference-server/server_under_test.hpp>
#include <inference_server.hpp>

using interleave::FailureKind;

namespace {

using std::chrono::milliseconds;

// What a shell command prints.
std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "re");
  char buffer[4096];
  for (std::size_t got; pipe != nullptr && (got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    output.append(buffer, got);
  }
  if (pipe != nullptr) ::pclose(pipe);
  return output;
}

ServerOptions at_most(std::size_t predictions) { return {.most_predictions = predictions}; }

std::vector<int> statuses(const std::vector<Reply>& replies) {
  std::vector<int> statuses;
  for (const Reply& reply : replies) statuses.push_back(reply.status);
  return statuses;
}

}  // namespace

TEST(InferenceServer, AnswersCurl) {
  if (output_of("command -v curl").empty()) GTEST_SKIP() << "it needs curl (Debian: apt-get install curl)";
  Site site(1, {}, [] { return listen_on(0); });
  site.serve([&] {
    const std::string& url = site.url();
    EXPECT_EQ(output_of("curl -s " + url + "/healthz " + url + "/healthz -w '%{num_connects}\\n'"), "ok\n1\nok\n0\n")
        << "two requests of one curl, and the connections that it made for each";
    EXPECT_EQ(output_of("curl -s --data-binary 7 " + url + "/predict"), "\"7\"") << "what the worker answered";
    EXPECT_EQ(output_of("curl -s --data-binary 7 -H 'Transfer-Encoding: chunked' " + url + "/predict"), "\"7\"")
        << "a body in chunks";
    EXPECT_EQ(output_of("curl -s -o /dev/null -w '%{http_code}' --path-as-is " + url + "/../../etc/passwd"), "404");
  });
}

TEST(InferenceServer, AnswersEachPathAsItsType) {
  Site site(1);
  site.serve([&] {
    Client client(site);
    Reply page = client.get("/").reply();
    EXPECT_EQ(page.status, 200) << "GET /";
    EXPECT_TRUE(page.body == index_page()) << "GET / gives index_page()";
    EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8") << "or a browser shows it as text";
    Reply answer = client.predict("7").reply();
    EXPECT_EQ(answer.body, "\"7\"") << "POST /predict gives what the worker answered";
    EXPECT_EQ(answer.header("content-type"), "application/json");
    EXPECT_EQ(client.get("/healthz?verbose").reply().body, "ok\n") << "GET /healthz, with a query";
  });
}

TEST(InferenceServer, RefusesOtherPathsAndMethods) {
  Site site(1);
  site.serve([&] {
    Client client(site);
    for (const char* path : {"/nothing", "/predict/", "/healthz/../predict", "/../../etc/passwd"}) {
      EXPECT_EQ(client.get(path).reply().status, 404) << "GET " << path;
    }
    Reply reply = client.get("/predict").reply();
    EXPECT_EQ(reply.status, 405) << "GET /predict";
    EXPECT_EQ(reply.header("allow"), "POST") << "GET /predict";
    for (const char* path : {"/healthz", "/metrics", "/"}) {
      client.send(std::string("BREW ") + path + " HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\ntea");
      reply = client.reply();
      EXPECT_EQ(reply.status, 405) << "BREW " << path;
      EXPECT_EQ(reply.header("allow"), "GET") << "BREW " << path;
    }
    EXPECT_EQ(client.get("/healthz").reply().status, 200) << "the same connection, after all that";
  });
}

TEST(InferenceServer, AnswersTheOthersWhileEveryWorkerIsBusy) {
  Site site(1);
  site.serve([&] {
    Client slow(site), other(site);
    EXPECT_TRUE(slow.predict("hold").replies().empty());
    EXPECT_EQ(site.gate.begun(), 1) << "predictions that a worker has begun";
    EXPECT_EQ(other.get("/healthz").reply().status, 200)
        << FailureKind::over_synchronised << "GET /healthz while the model computes for another client";
    site.gate.open(1);
    EXPECT_EQ(slow.reply().body, "\"hold\"");
  });
}

TEST(InferenceServer, KeepsAllWorkersBusyAtTheSameTime) {
  Site site(2);
  site.serve([&] {
    Client one(site), other(site);
    one.predict("hold 1");
    other.predict("hold 2");
    site.settle();
    EXPECT_EQ(site.gate.begun(), 2) << FailureKind::over_synchronised
                                    << "predictions at the same time, of two clients, with two workers";
    site.gate.open(2);
    EXPECT_EQ(one.reply().body, "\"hold 1\"") << "to each client its own answer";
    EXPECT_EQ(other.reply().body, "\"hold 2\"") << "to each client its own answer";
  });
}

TEST(InferenceServer, AnswersPipelinedRequestsInOrder) {
  Site site(1);
  site.serve([&] {
    Client client(site);
    client.predict("hold").get("/healthz").predict("7");
    EXPECT_TRUE(client.replies().empty()) << "answers before that of the first request, which a worker still has";
    site.gate.open(1);
    auto replies = client.replies();
    EXPECT_EQ(replies.size(), 3U) << "answers to three requests that were sent at once";
    if (replies.size() != 3) return;
    EXPECT_EQ(replies[0].body + replies[1].body + replies[2].body, "\"hold\"ok\n\"7\"") << "the three answers";
  });
}

TEST(InferenceServer, ClosesTheConnectionWhenTheClientWantsThat) {
  Site site(1);
  site.serve([&] {
    Client closing(site), old(site);
    Reply reply = closing.get("/healthz", "Connection: close\r\n").reply();
    EXPECT_EQ(reply.header("connection"), "close") << "the header of the answer";
    EXPECT_TRUE(closing.closed()) << "after a request with Connection: close";
    old.send("GET /healthz HTTP/1.0\r\n\r\n");
    EXPECT_EQ(old.reply().status, 200);
    EXPECT_TRUE(old.closed()) << "after a request of HTTP/1.0, which knows no other way";
  });
}

TEST(InferenceServer, RefusesPredictionsBeyondTheBound) {
  Site site(1, at_most(2));
  site.serve([&] {
    Client running(site), waiting(site), third(site);
    EXPECT_TRUE(running.predict("hold").replies().empty());
    EXPECT_TRUE(waiting.predict("hold").replies().empty());
    Reply refusal = third.predict("7").reply();
    EXPECT_EQ(refusal.status, 503) << "a third prediction, when two at the most may be in progress";
    EXPECT_EQ(refusal.header("retry-after"), "1");
    EXPECT_EQ(third.get("/healthz").reply().status, 200) << "what is no prediction, on the same connection";
    site.gate.open(2);
    EXPECT_EQ(running.reply().status, 200);
    EXPECT_EQ(waiting.reply().status, 200);
    EXPECT_EQ(third.predict("7").reply().status, 200) << "the same again, when the two are over";
  });
}

TEST(InferenceServer, AnswersAFunctionThatThrowsWith400) {
  Site site(1);
  site.serve([&] {
    Client client(site);
    Reply reply = client.predict("throw").reply();
    EXPECT_EQ(reply.status, 400) << "the function threw: it cannot take this body";
    EXPECT_EQ(reply.body, "that is no digit\n") << "the message of the exception";
  });
}

TEST(InferenceServer, LosesOneAnswerToACrash) {
  Site site(2);
  site.serve([&] {
    Client other(site);
    other.predict("hold");
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<Client>(site));
    for (int i = 0; i < 40; ++i) {
      const bool dies = i % 10 == 5;
      const std::string body = (dies ? "die " : "7 ") + std::to_string(i);
      Reply reply = clients[static_cast<std::size_t>(i % 4)]->predict(body).reply();
      EXPECT_EQ(reply.status, dies ? 500 : 200) << "prediction " << i << "; the worker of each tenth dies of it";
      EXPECT_EQ(reply.body, dies ? http_status(500).body : "\"" + body + "\"") << "prediction " << i;
      if (reply.status != (dies ? 500 : 200)) return;
    }
    site.gate.open(1);
    EXPECT_EQ(other.reply().status, 200) << "a prediction that was with another worker all the while";
  });
}

TEST(InferenceServer, GivesThePlaceOfAPredictionBackHoweverItEnds) {
  Site site(1, at_most(1));
  site.serve([&] {
    Client client(site), vanishing(site);
    client.predict("throw").predict("die");
    EXPECT_EQ(statuses(client.replies()), (std::vector{400, 500}));
    EXPECT_EQ(client.predict("7").reply().status, 200) << "after one that threw and one that died, with room for one";
    vanishing.predict("hold");
    site.settle();
    vanishing.vanish();
    EXPECT_EQ(client.predict("7").reply().status, 503) << "its client has gone, but a worker still has it";
    site.gate.open(1);
    site.settle();
    EXPECT_EQ(client.predict("7").reply().status, 200) << "after one whose client has gone, with room for one";
  });
}

TEST(InferenceServer, RefusesWhatIsTooLongOrNoHttp) {
  ServerOptions options;
  options.limits.header_bytes = 2000, options.limits.body_bytes = 1000;
  Site site(1, options);
  site.serve([&] {
    const std::string post = "POST /predict HTTP/1.1\r\nHost: test\r\n";
    const std::string chunk = "258\r\n" + std::string(600, '7') + "\r\n";
    const std::pair<std::string, int> cases[] = {
        {post + "Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk, 413},     // it was not announced how long it is
        {post + "Content-Length: 10000000000\r\n\r\n7", 413},                   // announced, and hardly begun
        {"GET / HTTP/1.1\r\nCookie: " + std::string(3000, 'c') + "\r\n", 431},  // and so on
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400},
        {post + "Content-Length: -1\r\n\r\n", 400},
    };
    for (const auto& [bytes, status] : cases) {
      Client client(site);
      client.send(bytes);
      ASSERT_EQ(client.reply().status, status) << "to a client that sends " << bytes.substr(0, 60) << "...";
      EXPECT_TRUE(client.closed()) << "and then the end: where would its next request begin?";
    }
    EXPECT_EQ(Client(site).predict(std::string(1000, '7')).reply().status, 200) << "a body that is just short enough";
  });
}

TEST(InferenceServer, HoldsAThousandIdleConnections) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit raised{std::min<rlim_t>(4096, before.rlim_max), before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &raised);
  {
    Site site(1);
    site.serve([&] {
      std::vector<std::unique_ptr<Client>> idle;
      for (rlim_t i = 0; i < std::min<rlim_t>(1000, raised.rlim_cur / 2 - 50); ++i) {
        idle.push_back(std::make_unique<Client>(site));
      }
      Client another(site);
      EXPECT_EQ(another.predict("7").reply().status, 200) << "a client beside " << idle.size() << " idle ones";
      EXPECT_EQ(idle.front()->predict("7").reply().status, 200) << "the first of the idle ones";
    });
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(InferenceServer, AsksNoMoreOfAClientThatDoesNotRead) {
  Site site(1);
  site.serve([&] {
    Client deaf(site), other(site);
    int room = 0;
    socklen_t size = sizeof(room);
    Descriptor fresh(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::getsockopt(fresh.get(), SOL_SOCKET, SO_SNDBUF, &room, &size);  // of a connection, either way
    const std::size_t far_too_much = (std::size_t{1} << 20) + 2 * static_cast<std::size_t>(room);
    std::string requests;
    while (requests.size() < 65536) requests += "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
    std::size_t taken = 0;
    for (std::size_t now = 1; now > 0 && taken < far_too_much; taken += now) {
      // From where the last piece was cut off.
      now = deaf.send(requests.substr(taken % requests.size()));
      site.settle();
    }
    EXPECT_LT(taken, far_too_much) << "bytes of requests that the server took from a client that reads no answer";
    EXPECT_EQ(other.get("/healthz").reply().status, 200) << "another client";
    EXPECT_EQ(deaf.reply().status, 200) << "the client, when it reads at last";
  });
}

TEST(InferenceServer, CountsWhatItAnswers) {
  Site site(1, at_most(2));
  site.serve([&] {
    Client client(site), running(site), waiting(site);
    client.predict("7").predict("die").predict("throw").get("/nothing");
    EXPECT_EQ(client.replies().size(), 4U);
    running.predict("hold");
    waiting.predict("hold");
    site.settle();
    EXPECT_EQ(client.predict("7").reply().status, 503);
    const std::string text = client.get("/metrics").reply().body;
    for (const char* line :
         {"inference_responses_total{status=\"200\"} 1", "inference_responses_total{status=\"400\"} 1",
          "inference_responses_total{status=\"404\"} 1", "inference_responses_total{status=\"500\"} 1",
          "inference_responses_total{status=\"503\"} 1", "inference_in_progress 2", "inference_waiting 1",
          "inference_seconds_count 1"}) {
      EXPECT_NE(text.find(std::string(line) + "\n"), std::string::npos) << "no line " << line << " in\n" << text;
    }
  });
}

TEST(InferenceServer, AnswersWhatIsInProgressBeforeItEnds) {
  Site site(1);
  site.serve([&] {
    Client running(site), waiting(site), gone(site), half(site), idle(site), used(site);
    running.predict("hold 1");
    waiting.predict("hold 2");
    site.settle();
    gone.predict("hold 3");
    site.settle();
    gone.vanish();
    half.send("GET /healthz HTT");
    EXPECT_EQ(used.get("/healthz").reply().status, 200);
    ::kill(::getpid(), SIGTERM);
    EXPECT_TRUE(idle.replies().empty());
    EXPECT_TRUE(idle.closed()) << "after SIGTERM: a client that has never asked for anything";
    EXPECT_TRUE(used.replies().empty());
    EXPECT_TRUE(used.closed()) << "after SIGTERM: a client that has had its answer";
    EXPECT_FALSE(Client(site).connected()) << "after SIGTERM: a new client";
    EXPECT_FALSE(site.run_has_returned()) << "run() while predictions are in progress";
    half.send("P/1.1\r\nHost: test\r\n\r\n");
    EXPECT_EQ(half.reply().status, 200) << "a request of which half had come before SIGTERM";
    EXPECT_TRUE(half.closed()) << "and then the end";
    site.gate.open(2);
    for (Client* client : {&running, &waiting}) {
      Reply reply = client->reply();
      EXPECT_EQ(reply.status, 200) << "a prediction that was in progress at SIGTERM";
      EXPECT_EQ(reply.header("connection"), "close") << "the client must not send another request here";
    }
    EXPECT_FALSE(site.run_has_returned()) << "run() while a worker has a prediction, whose client has gone";
  });
}

TEST(InferenceServer, EndsAtOnceIfTheSignalCameBeforeRun) {
  Site site(1);
  ::kill(::getpid(), SIGTERM);
  site.serve([&] {
    site.settle();
    EXPECT_TRUE(site.run_has_returned()) << "SIGTERM came when the server was there, and run() was not yet called";
  });
}

TEST(InferenceServer, ClosesAClientThatIsTooSlow) {
  {
    Site site(1, {.limits = {.request = milliseconds(1)}});
    site.serve([&] {
      Client half(site);
      half.send("POST /predict HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n7");
      EXPECT_EQ(statuses(half.wait_until_closed()), std::vector{408}) << "to half of a request, and no more";
    });
  }
  {
    Site site(1, {.limits = {.idle = milliseconds(1)}});
    site.serve([&] { EXPECT_TRUE(Client(site).wait_until_closed().empty()) << "an answer to nothing"; });
  }
  {
    Site site(1, {.limits = {.response = milliseconds(1)}});
    site.serve([&] {
      Client deaf(site);
      const int error = deaf.send_until_closed("GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
      EXPECT_TRUE(error == EPIPE || error == ECONNRESET) << "the end of a connection on which no answer is taken";
    });
  }
}
