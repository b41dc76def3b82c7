#include <libnuraft/nuraft.hxx>

using namespace nuraft;

int main() {
    asio_service::options options;
    options.thread_pool_size_ = 1;
    asio_service service(options);
    ptr<logger> no_log;
    if (!service.create_rpc_listener(0, no_log)) return 1;
    service.stop();
    options.enable_ssl_ = true;
    try {
        asio_service secure(options);
    } catch (const std::runtime_error&) {
        return 0;
    }
    return 1;
}
