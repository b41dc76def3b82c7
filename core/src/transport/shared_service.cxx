#include "asio_service.hxx"
#include "global_mgr.hxx"

// The transport that servers of a process may share; apart, for builds without a transport.

namespace nuraft {

ptr<asio_service> nuraft_global_mgr::init_asio_service(const asio_service_options& asio_opt,
                                                       ptr<logger> logger_inst) {
    nuraft_global_mgr* mgr = get_instance();
    if (!mgr) return nullptr;
    std::lock_guard<std::mutex> guard(mgr->asio_lock_);
    if (!mgr->asio_service_) {
        mgr->asio_service_ = cs_new<asio_service>(asio_opt, std::move(logger_inst));
    }
    return mgr->asio_service_;
}

ptr<asio_service> nuraft_global_mgr::get_asio_service() {
    nuraft_global_mgr* mgr = get_instance();
    if (!mgr) return nullptr;
    std::lock_guard<std::mutex> guard(mgr->asio_lock_);
    return mgr->asio_service_;
}

}  // namespace nuraft
